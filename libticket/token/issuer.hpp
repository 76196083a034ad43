// The issuer's side: private keys and what they answer.
#pragma once

#include <variant>

#include "crypto/voprf.hpp"
#include "token/issuance.hpp"
#include "token/token_key.hpp"

namespace ticket::token {

// A key to issue with. Shared between threads.
class IssuerKey {
 public:
  // Blind RSA: 0.3 to 0.6 s, so off the loop.
  static IssuerKey generate(TokenType type);
  // What secret() gave. Rejects with malformed or bad_key.
  [[nodiscard]] static Checked<IssuerKey> load(TokenType type, BytesView secret);
  // Blind RSA: DER of PKCS #1; ristretto: the scalar, 32 bytes.
  SecretBytes secret() const;

  const TokenKey& public_key() const { return public_; }

  // The response's body. Rejects with malformed what the key cannot sign.
  [[nodiscard]] Checked<Bytes> issue(const TokenRequest& request, Form form) const;

 private:
  using Private = std::variant<crypto::BlindRsaPrivate, crypto::voprf::Scalar>;
  IssuerKey(TokenKey half, Private key) : public_(std::move(half)), private_(std::move(key)) {}
  [[nodiscard]] static Checked<IssuerKey> of(crypto::BlindRsaPrivate key);
  [[nodiscard]] static Checked<IssuerKey> of(crypto::voprf::Scalar key);

  TokenKey public_;
  Private private_;
};

// The keys that issue at one time. A request names its key by type and truncated id
// alone, so of each such pair there is one. Immutable once filled.
class Issuer {
 public:
  explicit Issuer(TokenTypes types) : types_(types) {}

  // Rejects with bad_key a key whose type and truncated id another one has: make
  // another key.
  [[nodiscard]] Checked<bool> add(IssuerKey key);
  const std::vector<IssuerKey>& keys() const { return keys_; }

  // The response's body. Rejects with unsupported, malformed or unknown_key.
  [[nodiscard]] Checked<Bytes> answer(BytesView request, Form form) const;

 private:
  const IssuerKey* find(TokenType type, std::uint8_t truncated_id) const;

  TokenTypes types_;
  std::vector<IssuerKey> keys_;
};

}  // namespace ticket::token
