// Keys and tokens for tests: made once, since an RSA key takes half a second.
#pragma once

#include <doctest/doctest.h>

#include "crypto/digest.hpp"
#include "token/client.hpp"
#include "token/issuer.hpp"
#include "token/redeemer.hpp"

namespace samples {

using namespace ticket;
using namespace ticket::token;

inline const TokenTypes both(TokenTypes::ristretto_draft_code);

inline const IssuerKey& issuer_key(TokenType type) {
  static const auto rsa = IssuerKey::generate(TokenType::blind_rsa);
  static const auto ristretto = IssuerKey::generate(TokenType::ristretto);
  return type == TokenType::blind_rsa ? rsa : ristretto;
}

inline IssuerKey copy_of(const IssuerKey& key) {
  auto copy = IssuerKey::load(key.public_key().type, key.secret().expose());
  REQUIRE(copy.has_value());
  return std::move(*copy);
}

inline Issuer issuer() {
  Issuer issuer(both);
  REQUIRE(issuer.add(copy_of(issuer_key(TokenType::blind_rsa))).has_value());
  REQUIRE(issuer.add(copy_of(issuer_key(TokenType::ristretto))).has_value());
  return issuer;
}

inline Bytes challenge(TokenType type, std::string origin = "origin.example") {
  return *write_challenge({type, "issuer.example", std::nullopt, std::move(origin)}, both);
}

// A token by that key, whoever asks for it.
inline Bytes token_by(const IssuerKey& key, const Bytes& challenge) {
  const auto withdrawal = Withdrawal::begin(challenge, key.public_key(), both);
  REQUIRE(withdrawal.has_value());
  const auto request = parse_request(withdrawal->request(), Form::single, both);
  const auto response = key.issue(*request, Form::single);
  REQUIRE(response.has_value());
  return withdrawal->finish(*response)->front();
}

// The client's whole way.
inline std::vector<Bytes> tokens(TokenType type, const Bytes& challenge, Form form = Form::single,
                                 std::size_t count = 1) {
  const auto withdrawal =
      Withdrawal::begin(challenge, issuer_key(type).public_key(), both, form, count);
  REQUIRE(withdrawal.has_value());
  const auto response = issuer().answer(withdrawal->request(), form);
  REQUIRE(response.has_value());
  auto tokens = withdrawal->finish(*response);
  REQUIRE(tokens.has_value());
  REQUIRE(tokens->size() == count);
  return std::move(*tokens);
}

inline RedeemerKey redeemer_key(const IssuerKey& key) {
  const auto type = key.public_key().type;
  auto made = type == TokenType::blind_rsa ? RedeemerKey::blind_rsa(key.public_key())
                                           : RedeemerKey::ristretto(key.secret().expose());
  REQUIRE(made.has_value());
  return std::move(*made);
}

inline const sys_seconds noon{seconds(1'800'000'000)};

inline constexpr const char* origin = "origin.example";

// An epoch that accepts the sample challenges of both types from noon on, for an hour.
inline RedeemerEpoch epoch(std::string_view location_key = "location key") {
  RedeemerEpoch epoch{{}, noon, noon + seconds(3600),
                      {}, {},   crypto::HmacSha256(as_bytes(location_key))};
  for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
    epoch.keys.push_back(redeemer_key(issuer_key(type)));
    epoch.challenges.push_back(challenge(type));
  }
  return epoch;
}

inline std::vector<RedeemerEpoch> one(RedeemerEpoch epoch) {
  std::vector<RedeemerEpoch> epochs;
  epochs.push_back(std::move(epoch));
  return epochs;
}

inline Bytes flipped(BytesView bytes, std::size_t at) {
  auto copy = to_bytes(bytes);
  copy[at] ^= std::byte{1};
  return copy;
}

}  // namespace samples
