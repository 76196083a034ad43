// The servers that a client connects to, as it names them: host and port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/name.hpp"

namespace ticket::client {

// A host name as it is compared: letters lower-case, no dot at its end. nullopt for
// what is no host name (RFC 1123, 2.1; '_' is taken, as resolvers do): labels of 1-63
// letters, digits, '-' and '_', no '-' at their ends, 253 bytes in all; and for one
// whose last label is all digits, which is a mistyped address.
std::optional<std::string> normal_host_name(std::string_view text);

// An IPv4 or IPv6 address in its one usual spelling; nullopt for anything else.
std::optional<std::string> normal_address(std::string_view text);

// A server, by whatever it is called: "a.example:443", "192.0.2.1:443", "[2001:db8::1]:443".
class Server {
 public:
  // From a host name or address (an IPv6 one with or without brackets) and a port
  // other than 0; nullopt when it is neither.
  static std::optional<Server> from(std::string_view host, unsigned port);
  // From "HOST:PORT" or "[IPV6]:PORT".
  static std::optional<Server> parse(std::string_view text);

  // The one spelling, to compare and to show.
  const std::string& text() const { return text_; }
  std::string_view host() const { return std::string_view(text_).substr(host_at_, host_size_); }
  bool is_address() const { return is_address_; }
  const NameKey& host_key() const { return host_key_; }
  const NameKey& key() const { return key_; }  // of host and port

  friend bool operator==(const Server& a, const Server& b) { return a.key_ == b.key_; }

 private:
  Server() = default;

  std::string text_;
  std::uint16_t host_at_ = 0, host_size_ = 0;
  bool is_address_ = false;
  NameKey host_key_, key_;
};

}  // namespace ticket::client
