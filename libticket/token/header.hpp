// The `PrivateToken` scheme of HTTP authentication (RFC 9577, sections 2.1 and 2.2, in
// the syntax of RFC 9110, section 11).
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "token/challenge.hpp"

namespace ticket::token {

constexpr std::size_t max_authorization_size = 4096;     // of a value; a token needs 492
constexpr std::size_t max_authenticate_size = 64 << 10;  // of all challenges

// One challenge of a WWW-Authenticate field. The bytes are not looked into: what they
// hash to is what counts, and a client skips token types that it does not speak.
struct HeaderChallenge {
  Bytes challenge;
  Bytes token_key;  // empty when it is to be had elsewhere
  std::optional<seconds> max_age;

  bool operator==(const HeaderChallenge&) const = default;
};

// The value of one field with all of them, the preferred one first.
std::string write_authenticate(const std::vector<HeaderChallenge>& challenges);
// The PrivateToken challenges of a field's value, in their order; fields that come
// several times are joined with commas. Other schemes are passed over, so are
// challenges with a parameter twice, without `challenge`, or not in padded base64url.
// Rejects with malformed what is no list of challenges, or too long.
[[nodiscard]] Checked<std::vector<HeaderChallenge>> parse_authenticate(std::string_view value);

std::string write_authorization(BytesView token);
// The token's bytes. Rejects with unsupported (another scheme) or malformed: no token,
// two of them, not in padded base64url, or a value of more than 4 KiB.
[[nodiscard]] Checked<Bytes> parse_authorization(std::string_view value);

}  // namespace ticket::token
