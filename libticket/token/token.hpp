// What a client presents: once.
#pragma once

#include "base/bytes.hpp"
#include "token/token_type.hpp"
#include "wire/layout.hpp"

namespace ticket::token {

using Nonce = ByteArray<32>;
using Digest = ByteArray<32>;  // SHA-256 of a TokenChallenge
using KeyId = ByteArray<32>;   // SHA-256 of a token key
using TokenInput = ByteArray<wire::token_input_size>;

// A token as views into the bytes that it was parsed from (RFC 9577, section 2.2).
struct Token {
  TokenType type = TokenType::blind_rsa;
  // 98 bytes: what the authenticator is over, and what says which token it is. The
  // whole token does not: one input has many signatures.
  BytesView input;
  BytesView challenge_digest, key_id;  // 32 bytes each
  BytesView authenticator;
};

// Rejects with unsupported (its type) or malformed (any other length than its type's).
[[nodiscard]] Checked<Token> parse_token(BytesView bytes, const TokenTypes& types);

TokenInput token_input(std::uint16_t code, const Nonce& nonce, const Digest& digest,
                       const KeyId& key);

}  // namespace ticket::token
