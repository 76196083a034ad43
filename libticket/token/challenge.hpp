// What an origin asks for (RFC 9577, section 2.1).
#pragma once

#include <string>
#include <vector>

#include "token/token.hpp"

namespace ticket::token {

struct Challenge {
  TokenType type = TokenType::blind_rsa;
  std::string issuer;  // its name, as a client finds its directory; never empty
  std::optional<ByteArray<32>> redemption_context;
  std::string origin_info;  // names with commas between them; empty = any origin

  std::vector<std::string_view> origins() const;
  bool operator==(const Challenge&) const = default;
};

// Rejects with unsupported (its type) or malformed, also for names with other than
// visible ASCII.
[[nodiscard]] Checked<Challenge> parse_challenge(BytesView bytes, const TokenTypes& types);
// Rejects with what parse_challenge would reject.
[[nodiscard]] Checked<Bytes> write_challenge(const Challenge& challenge, const TokenTypes& types);

}  // namespace ticket::token
