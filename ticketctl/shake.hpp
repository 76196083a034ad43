// What a client saw of one connection to a TLS server.
#pragma once

#include <cstdint>
#include <string>

namespace ticketctl {

enum class TlsVersion { v1_2, v1_3 };
const char* to_text(TlsVersion version);  // "1.2", "1.3"

struct Shake {
  enum class Outcome {
    ok,                  // the handshake was whole, and nothing was refused right after it
    unreachable,         // no TCP connection
    silent,              // connected, and no TLS answer in time
    closed,              // closed in the middle of the handshake, without an alert
    not_tls,             // it answers, but not TLS
    not_offered,         // it does not speak this version of TLS
    client_certificate,  // it demands one, or refuses the one shown
    no_such_name,        // it does not serve this server name
    untrusted,           // its certificate did not verify
    alert,               // another alert ended it
  };
  Outcome outcome = Outcome::unreachable;
  std::string detail;  // of what failed, in the words of system or protocol

  bool resumed = false;
  std::string digest;               // hash of the cipher suite: what a TLS 1.3 ticket is tied to
  std::string certificate;          // SHA-256 of the server's, in hex
  bool asks_certificate = false;    // it asked for a client certificate
  unsigned tickets = 0;             // that came
  std::string key_name;             // of the last ticket, in hex; empty: there was none in it
  std::uint32_t lifetime_hint = 0;  // seconds; 0 = not said
  int http_status = 0;              // 0 = no answer in HTTP

  bool ok() const { return outcome == Outcome::ok; }
};

}  // namespace ticketctl
