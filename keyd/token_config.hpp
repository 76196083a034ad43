// One-time tokens in keyd's configuration, [pool.tokens]: who issues them, for whom,
// and where what was spent is recorded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "address.hpp"
#include "base/clock.hpp"

namespace keyd {

// How a client shows that it may have tokens.
enum class Attester {
  certificate,  // a TLS client certificate
  bearer,       // a secret, of which keyd knows the hash
  open,         // nothing: on loopback only
};

struct TokensConfig {
  Address listen;                          // where the issuer answers clients
  std::string name;                        // issuer_name: "HOST" or "HOST:PORT"
  std::vector<std::string> origins;        // none = any origin
  std::filesystem::path certificate, key;  // both empty: plain HTTP, on loopback
  bool blind_rsa = true;
  bool ristretto = false;
  std::uint16_t ristretto_type = 0x0005;  // its code point

  // A token epoch's life; see wire/token_block.hpp.
  ticket::seconds issue_for = std::chrono::hours(24);
  ticket::seconds redeem_for = std::chrono::hours(24);  // after issuing has stopped
  ticket::seconds publish_ahead = std::chrono::hours(1);

  std::vector<Attester> attest;
  std::filesystem::path attest_ca;       // of client certificates
  std::filesystem::path attest_secrets;  // a line each: NAME SHA256-HEX
  std::uint32_t budget = 1000;           // tokens of one client in a window
  ticket::seconds budget_window = std::chrono::hours(1);

  std::uint32_t capacity = 1'000'000;  // tokens of an epoch
  std::optional<Address> redis;        // the record; a socket's path as `host`, without a port
  bool redis_durable = false;          // only one that loses nothing in a crash
  std::string redeemer;                // without redis: the one member that redeems

  bool operator==(const TokensConfig&) const = default;
};

}  // namespace keyd
