// The client's side of issuance.
#pragma once

#include "token/challenge.hpp"
#include "token/issuance.hpp"
#include "token/token_key.hpp"

namespace ticket::token {

// One request and what its answer needs to become tokens. Nothing of a token's nonce
// or of the blinding goes to the issuer. Holds its secrets until it goes.
class Withdrawal {
 public:
  // For `challenge` as it came (its bytes are hashed), under `key`, which is of the
  // challenge's type; `count` tokens, more than one only in a batch. Rejects with
  // malformed or unsupported (the challenge, form or count) or bad_key.
  [[nodiscard]] static Checked<Withdrawal> begin(BytesView challenge, const TokenKey& key,
                                                 const TokenTypes& types, Form form = Form::single,
                                                 std::size_t count = 1);

  // The request's body.
  const Bytes& request() const { return request_; }

  // The tokens, as they are presented. Rejects with malformed, or with forged when the
  // answer is not by that key.
  [[nodiscard]] Checked<std::vector<Bytes>> finish(BytesView response) const;

  // What is drawn for one token. Of blind RSA: salt 48 and blinding factor, both empty
  // where they are left to be drawn while blinding; of ristretto: the blind alone.
  struct Drawn {
    Nonce nonce;
    Bytes salt;
    SecretBytes factor;
  };
  // As begin() draws it.
  static std::vector<Drawn> draw(TokenType type, std::size_t count);
  // With everything drawn by the caller: for the RFC's test vectors.
  [[nodiscard]] static Checked<Withdrawal> begin(BytesView challenge, const TokenKey& key,
                                                 const TokenTypes& types, Form form,
                                                 const std::vector<Drawn>& drawn);

 private:
  struct Pending {
    TokenInput input;
    Bytes blinded;
    SecretBytes secret;  // blind RSA: the factor's inverse; ristretto: the blind
  };
  Withdrawal(TokenKey key, Form form) : key_(std::move(key)), form_(form) {}
  [[nodiscard]] Checked<std::vector<Bytes>> finish_rsa(const TokenResponse& response) const;
  [[nodiscard]] Checked<std::vector<Bytes>> finish_ristretto(const TokenResponse& response) const;

  TokenKey key_;
  Form form_;
  std::vector<Pending> pending_;
  Bytes request_;
};

}  // namespace ticket::token
