// The keeper's part of a pool's tokens: epochs and what is secret of them.
#pragma once

#include "base/checked.hpp"
#include "base/secret.hpp"
#include "crypto/digest.hpp"
#include "token_rotation.hpp"
#include "wire/cursor.hpp"

namespace keyd {

// In one run: location key 32 | ristretto scalar, 0 or 32 | blind RSA private key, DER of
// PKCS #1. Moves, never copies by itself.
class TokenSecrets {
 public:
  TokenSecrets() = default;
  // The scalar and the RSA key may be empty.
  TokenSecrets(ticket::BytesView location_key, ticket::BytesView ristretto,
               ticket::BytesView blind_rsa);

  ticket::BytesView expose_location_key() const { return bytes_.expose().first(location_size); }
  ticket::BytesView expose_ristretto() const {
    return bytes_.expose().subspan(location_size, ristretto_size_);
  }
  ticket::BytesView expose_blind_rsa() const {
    return bytes_.expose().subspan(location_size + ristretto_size_);
  }

  TokenSecrets copy() const;
  // What an epoch needs that is as its public part says: a closed one signs no more, one
  // that ended does not verify either.
  TokenSecrets kept_by(const TokenEpoch& epoch) const;

 private:
  static constexpr std::size_t location_size = 32;
  ticket::SecretBytes bytes_;
  std::size_t ristretto_size_ = 0;
};

// What the keeper must not lose of a pool's tokens.
struct PoolTokens {
  std::uint32_t last_epoch = 0;       // the highest number ever given
  ticket::crypto::Sha256 record{};    // of what names where they are recorded; zero: nowhere
  ticket::crypto::Sha256 block{};     // of the token block as published; zero: none was
  std::vector<TokenEpoch> epochs;     // oldest first
  std::vector<TokenSecrets> secrets;  // in the same order

  PoolTokens copy() const;
};

// As it stands in the state (wire/layout.hpp, "Keeper state").
std::size_t size_of(const PoolTokens& tokens);
void write_pool_tokens(ticket::wire::Writer& out, const PoolTokens& tokens);
[[nodiscard]] ticket::Checked<PoolTokens> parse_pool_tokens(ticket::wire::Cursor& in);

}  // namespace keyd
