#include "config_fields.hpp"

#include <sys/un.h>

#include <algorithm>

#include "crypto/certificate.hpp"

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

}  // namespace keyd::toml_file
