// Whatever parses is covered by its parts, and is verified by nobody's key.
#include <algorithm>

#include "fuzz.hpp"
#include "token/issuer.hpp"
#include "token/redeemer.hpp"

namespace {

using namespace ticket;
using namespace ticket::token;

// Keys that nobody issues with: aborts when they are not made, or nothing would be tried.
RedeemerKey ristretto_key() {
  auto key = RedeemerKey::ristretto(Bytes(32, std::byte{1}));  // below the group's order
  holds(key.has_value());
  return std::move(*key);
}

RedeemerKey blind_rsa_key() {
  auto key = RedeemerKey::blind_rsa(IssuerKey::generate(TokenType::blind_rsa).public_key());
  holds(key.has_value());
  return std::move(*key);
}

}  // namespace

FUZZ_TARGET(data, size) {
  static const TokenTypes types(TokenTypes::ristretto_draft_code);
  static const auto ristretto = ristretto_key();
  static const auto blind_rsa = blind_rsa_key();
  const auto bytes = bytes_of(data, size);
  if (const auto token = parse_token(bytes, types)) {
    holds(token->input.size() + token->authenticator.size() == size);
    holds(token->input.data() == bytes.data());
    holds(size == token_size(token->type));
    holds(!ristretto.verify(*token) && !blind_rsa.verify(*token));
  }
  return 0;
}
