// The public half of an issuer's key, as it stands in directories and challenges.
#pragma once

#include "crypto/blind_rsa.hpp"
#include "token/token.hpp"

namespace ticket::token {

// Made by the functions below alone, so that its bytes are what its type says.
struct TokenKey {
  TokenType type = TokenType::blind_rsa;
  Bytes bytes;
  KeyId id{};

  // What a request names its key by (RFC 9578, section 5.1): many keys share it.
  std::uint8_t truncated_id() const { return std::to_integer<std::uint8_t>(id.back()); }
  bool operator==(const TokenKey&) const = default;
};

// Rejects with bad_key: for blind RSA all but the one encoding of a 2048-bit key with
// exponent 65537 (another encoding of the same key would have another id); for
// ristretto what is no element, or the identity.
[[nodiscard]] Checked<TokenKey> parse_token_key(TokenType type, BytesView bytes);

// The key of a type 0x0002 token, ready to verify and to blind.
[[nodiscard]] Checked<crypto::BlindRsaPublic> load_rsa(const TokenKey& key);
// Of the 256 bytes of a modulus.
[[nodiscard]] Checked<TokenKey> rsa_token_key(BytesView modulus);

}  // namespace ticket::token
