// "HOST:PORT", "192.0.2.1:7443", "[::1]:7443".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ticketctl {

struct Endpoint {
  std::string host;  // without brackets
  int port = 0;      // 1-65535
};

// nullopt for anything else.
std::optional<Endpoint> parse_endpoint(std::string_view text);
std::string to_text(const Endpoint& endpoint);

bool is_wildcard(const std::string& host);    // 0.0.0.0 or ::
bool is_ip_address(const std::string& host);  // IPv4 or IPv6, without brackets
bool is_loopback(const std::string& host);

}  // namespace ticketctl
