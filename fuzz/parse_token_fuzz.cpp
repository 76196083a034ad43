// Whatever parses is covered by its parts, and is verified by nobody's key.
#include <algorithm>

#include "crypto/digest.hpp"
#include "fuzz.hpp"
#include "token/redeemer.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket;
  using namespace ticket::token;
  static const TokenTypes types(TokenTypes::ristretto_draft_code);
  static const auto key = RedeemerKey::ristretto(crypto::sha256(as_bytes("key")));
  const auto bytes = bytes_of(data, size);
  if (const auto token = parse_token(bytes, types)) {
    holds(token->input.size() + token->authenticator.size() == size);
    holds(token->input.data() == bytes.data());
    holds(size == token_size(token->type));
    if (key) holds(!key->verify(*token));
  }
  return 0;
}
