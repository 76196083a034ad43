#include "config_fields.hpp"

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "crypto/certificate.hpp"
#include "key_file.hpp"
#include "ring/policy.hpp"

namespace keyd::toml_file {

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::filesystem::path resolve(const Section& section, std::string_view path) {
  return (std::filesystem::absolute(section.file()).parent_path() / path).lexically_normal();
}

std::filesystem::path path(const Section& section, std::string_view key, const char* allowed) {
  return resolve(section, section.text(key, allowed));
}

std::string name(const Section& section, std::string_view key) {
  const auto& text = section.text(key, name_rule);
  if (!ticket::crypto::valid_name(text)) {
    section.fail(key, in_quotes(text) + " is no name", name_rule);
  }
  return text;
}

std::string one_of(const Section& section, std::string_view key,
                   std::initializer_list<std::string_view> choices, std::string_view otherwise) {
  std::string allowed = "one of";
  for (const auto choice : choices) allowed.append(" ").append(choice);
  auto chosen = section.text_or(key, allowed, std::string(otherwise));
  if (std::ranges::find(choices, chosen) == choices.end()) {
    section.fail(key, in_quotes(chosen) + " is unknown", allowed);
  }
  return chosen;
}

std::optional<Endpoint> endpoint(const Section& section, std::string_view key) {
  if (!section.has(key)) return std::nullopt;
  constexpr auto rule = "the path of a Unix socket, with a slash in it, or \"HOST:PORT\"";
  const auto& text = section.text(key, rule);
  if (text.find('/') != std::string::npos) {
    return Endpoint{socket_path(section, key, section.line(key), text), {}};
  }
  const auto address = parse_address(text);
  if (!address) section.fail(key, in_quotes(text) + " is neither", rule);
  return Endpoint{{}, *address};
}

std::filesystem::path socket_path(const Section& section, std::string_view key, int line,
                                  std::string_view path) {
  auto socket = resolve(section, path);
  constexpr auto limit = sizeof(sockaddr_un::sun_path) - 1;
  if (socket.string().size() > limit) {
    section.fail_at(line, key, "too long: " + socket.string(),
                    "at most " + std::to_string(limit) + " characters as a full path");
  }
  return socket;
}

std::filesystem::path checked_file(const Section& section, std::string_view key,
                                   std::filesystem::path file, const char* allowed) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    section.fail(key, "no such file: " + file.string(), allowed);
  }
  if (!std::filesystem::is_regular_file(file, error)) {
    section.fail(key, "not a file: " + file.string(), allowed);
  }
  if (::access(file.c_str(), R_OK) != 0) {
    section.fail(key, "cannot be read: " + file.string() + ": " + std::strerror(errno), allowed);
  }
  return file;
}

std::filesystem::path file(const Section& section, std::string_view key, const char* allowed) {
  return checked_file(section, key, path(section, key, allowed), allowed);
}

std::filesystem::path secret_file(const Section& section, std::string_view key,
                                  const char* allowed) {
  auto secret = file(section, key, allowed);
  if (const auto problem = secret_file_problem(secret)) section.fail(key, *problem, "");
  return secret;
}

std::optional<Address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!brackets && host.find(':') != std::string_view::npos)) return std::nullopt;
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == port.data() + port.size();
  if (!whole || number > 65535) return std::nullopt;
  return Address{std::string(host), std::string(port)};
}

Address address(const Section& section, std::string_view key) {
  const auto& text = section.text(key, address_rule);
  const auto address = parse_address(text);
  if (!address) section.fail(key, in_quotes(text) + " is no address", address_rule);
  return *address;
}

void duration(const Section& section, std::string_view key, ticket::seconds& out) {
  if (!section.has(key)) return;
  const auto& text = section.text(key, duration_rule);
  const auto parsed = ticket::ring::parse_duration(text);
  if (!parsed) section.fail(key, in_quotes(text) + " is no duration", duration_rule);
  out = *parsed;
}

}  // namespace keyd::toml_file
