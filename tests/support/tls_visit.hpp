// A TLS client in this process, for tests that connect some hundred times: a handshake,
// one HTTP request, and the session that came of it.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "support/s_client.hpp"

namespace support {

using Session = std::shared_ptr<SSL_SESSION>;

struct Visit {
  std::uint16_t port;  // of 127.0.0.1
  std::string name;
  Tls version = Tls::v1_3;
  Session offer{};                             // may be offered again and again
  std::filesystem::path certificate{}, key{};  // empty: it has none
};

struct Visited {
  bool ok;             // the handshake, and a response of 200
  bool reused;         // the server took the session that was offered
  Session session;     // empty when there is no ticket
  std::string answer;  // the response, head and body
};

// Takes any certificate. Bounded by 10 s of silence.
Visited visit(const Visit& visit);

}  // namespace support
