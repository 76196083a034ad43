#include "client/server.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace ticket::client {

namespace {

constexpr std::size_t max_host_size = 253;
constexpr std::size_t max_label_size = 63;
constexpr std::size_t longest_port = 6;  // ":65535"

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What each byte counts as in a name; 0 = it stands in none.
constexpr auto name_characters = [] {
  std::array<char, 256> characters{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789-_.")) {
    characters[static_cast<unsigned char>(c)] = c;
    if (c >= 'a' && c <= 'z') characters[static_cast<unsigned char>(c - 'a' + 'A')] = c;
  }
  return characters;
}();

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= max_label_size && label.front() != '-' &&
         label.back() != '-';
}

// Of name characters.
bool is_host_name(std::string_view name) {
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    if (!is_label(name.substr(0, dot))) return false;
    name.remove_prefix(dot + 1);
  }
  return is_label(name) && !std::ranges::all_of(name, is_digit);
}

std::optional<unsigned> parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.empty() || !is_digit(text.front()) || port == 0 || port > 0xffff) {
    return std::nullopt;
  }
  return port;
}

template <class Address>
std::optional<std::string> respelled(int family, const std::string& text) {
  Address address{};
  char spelled[INET6_ADDRSTRLEN];
  if (inet_pton(family, text.c_str(), &address) != 1 ||
      inet_ntop(family, &address, spelled, sizeof spelled) == nullptr) {
    return std::nullopt;
  }
  return spelled;
}

}  // namespace

std::optional<std::string> normal_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > max_host_size) return std::nullopt;
  std::string name;
  name.reserve(text.size() + longest_port);  // a server is made of it
  name.resize(text.size());
  std::ranges::transform(text, name.begin(),
                         [](char c) { return name_characters[static_cast<unsigned char>(c)]; });
  if (name.find('\0') != std::string::npos || !is_host_name(name)) return std::nullopt;
  return name;
}

std::optional<std::string> normal_address(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string terminated(text);
  if (auto address = respelled<in_addr>(AF_INET, terminated)) return address;
  return respelled<in6_addr>(AF_INET6, terminated);
}

std::optional<Server> Server::from(std::string_view host, unsigned port) {
  if (port == 0 || port > 0xffff) return std::nullopt;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  }
  auto name = normal_host_name(host);
  Server server;
  server.is_address_ = !name.has_value();
  if (!name) name = normal_address(host);
  if (!name) return std::nullopt;
  server.host_key_ = key_of(*name);
  server.key_ = joined(server.host_key_, {0, port});
  const bool brackets = name->find(':') != std::string::npos;
  server.host_at_ = brackets ? 1 : 0;
  server.host_size_ = static_cast<std::uint16_t>(name->size());
  server.text_ = brackets ? "[" + *name + "]" : std::move(*name);
  char digits[longest_port] = ":";
  server.text_.append(digits, std::to_chars(digits + 1, std::end(digits), port).ptr);
  return server;
}

std::optional<Server> Server::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto host = text.substr(0, colon);
  const bool bare_ipv6 = host.find(':') != std::string_view::npos && host.front() != '[';
  const auto port = parse_port(text.substr(colon + 1));
  return port && !bare_ipv6 ? from(host, *port) : std::nullopt;
}

}  // namespace ticket::client
