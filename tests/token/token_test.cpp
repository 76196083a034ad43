#include "token/token.hpp"

#include <doctest/doctest.h>

#include "samples.hpp"
#include "support/vectors.hpp"
#include "token/rfc_figures.hpp"

namespace ticket::token {

using samples::both;
using support::unhex;

TEST_SUITE("token") {
  TEST_CASE("what is signed, RFC 9577, appendix A.1") {
    for (const auto& figures : rfc::challenges) {
      CAPTURE(figures.input);
      Challenge challenge{TokenType::blind_rsa, figures.issuer, std::nullopt, figures.origin_info};
      const auto context = unhex(figures.context);
      if (!context.empty()) challenge.redemption_context = to_array(BytesView(context).first<32>());

      const auto digest = crypto::sha256(*write_challenge(challenge, both));
      const auto nonce = unhex(rfc::nonce), key = unhex(rfc::key_id);

      CHECK(hex(token_input(TokenTypes::blind_rsa_code, to_array(BytesView(nonce).first<32>()),
                            digest, to_array(BytesView(key).first<32>()))) == figures.input);
    }
  }

  TEST_CASE("the published vectors of RFC 9577: what is signed") {
    for (const auto& v : support::vectors("privacypass-ts_auth_scheme_token_v14.json")) {
      const auto context = unhex(v, "redemption_context");
      Challenge challenge{TokenType::blind_rsa, std::string(as_text(unhex(v, "issuer_name"))),
                          std::nullopt, std::string(as_text(unhex(v, "origin_info")))};
      if (!context.empty()) challenge.redemption_context = to_array(BytesView(context).first<32>());
      const auto nonce = unhex(v, "nonce"), key = unhex(v, "token_key_id");
      CHECK(hex(token_input(TokenTypes::blind_rsa_code, to_array(BytesView(nonce).first<32>()),
                            crypto::sha256(*write_challenge(challenge, both)),
                            to_array(BytesView(key).first<32>()))) ==
            v.at("token_authenticator_input"));
    }
  }

  TEST_CASE("a token is parsed into views that cover it") {
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const auto bytes = samples::tokens(type, samples::challenge(type)).front();
      CHECK(bytes.size() == (type == TokenType::blind_rsa ? 354 : 162));

      const auto token = parse_token(bytes, both);

      REQUIRE(token.has_value());
      CHECK(token->type == type);
      CHECK(hex(token->input) + hex(token->authenticator) == hex(bytes));
      CHECK(hex(token->challenge_digest) == hex(crypto::sha256(samples::challenge(type))));
      CHECK(hex(token->key_id) == hex(samples::issuer_key(type).public_key().id));
    }
  }

  TEST_CASE("a token of every other length is malformed") {
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const auto bytes = samples::tokens(type, samples::challenge(type)).front();
      auto longer = bytes;
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK(parse_token(BytesView(bytes).first(size), both).error() == Rejection::malformed);
      }
      for (int more = 0; more < 300; ++more) {
        longer.push_back(std::byte{0});
        CHECK(parse_token(longer, both).error() == Rejection::malformed);
      }
    }
  }

  TEST_CASE("types that are not spoken are unsupported, and ristretto is one until named") {
    const auto rsa =
        samples::tokens(TokenType::blind_rsa, samples::challenge(TokenType::blind_rsa));
    const auto ristretto =
        samples::tokens(TokenType::ristretto, samples::challenge(TokenType::ristretto));
    CHECK(parse_token(rsa[0], TokenTypes()).has_value());
    CHECK(parse_token(ristretto[0], TokenTypes()).error() == Rejection::unsupported);
    CHECK(parse_token(ristretto[0], TokenTypes(0xfe05)).error() == Rejection::unsupported);
    CHECK(parse_token(unhex("0001"), both).error() == Rejection::unsupported);

    CHECK(TokenTypes().type(0x0005).error() == Rejection::unsupported);
    CHECK(TokenTypes().code(TokenType::ristretto).error() == Rejection::unsupported);
    CHECK(TokenTypes(0xfe05).code(TokenType::ristretto) == 0xfe05);
    CHECK_THROWS_AS(TokenTypes(0x0002), std::invalid_argument);
  }
}

TEST_SUITE("token key") {
  TEST_CASE("the key of RFC 9578, appendix A.2, and its id") {
    const auto key = parse_token_key(TokenType::blind_rsa, unhex(rfc::token_key));
    REQUIRE(key.has_value());
    CHECK(hex(key->id) == rfc::key_id);
    CHECK(key->truncated_id() == 0x08);  // its last byte

    const auto rsa = load_rsa(*key);
    REQUIRE(rsa.has_value());
    CHECK(hex(rsa_token_key(rsa->modulus())->bytes) == rfc::token_key);
  }

  TEST_CASE("every other byte of its encoding makes it another key, or none") {
    const auto bytes = unhex(rfc::token_key);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      CAPTURE(at);
      const auto key = parse_token_key(TokenType::blind_rsa, samples::flipped(bytes, at));
      const bool in_modulus = at >= 81 && at < 336;  // whose last byte is odd
      CHECK(key.has_value() == in_modulus);
      if (key) CHECK(hex(key->id) != rfc::key_id);
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK_FALSE(parse_token_key(TokenType::blind_rsa, BytesView(bytes).first(size)).has_value());
    }
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(parse_token_key(TokenType::blind_rsa, longer).has_value());
  }

  TEST_CASE("a modulus without its highest bit is refused") {
    auto bytes = unhex(rfc::token_key);
    bytes[81] &= std::byte{0x7f};
    CHECK(parse_token_key(TokenType::blind_rsa, bytes).error() == Rejection::bad_key);
  }

  TEST_CASE("a ristretto key is an element, not the identity, not another type's") {
    const auto& key = samples::issuer_key(TokenType::ristretto).public_key();
    CHECK(parse_token_key(TokenType::ristretto, key.bytes).has_value());
    CHECK(parse_token_key(TokenType::ristretto, Bytes(32)).error() == Rejection::bad_key);
    CHECK(parse_token_key(TokenType::ristretto, Bytes(32, std::byte{0xff})).error() ==
          Rejection::bad_key);
    CHECK(parse_token_key(TokenType::ristretto, {}).error() == Rejection::bad_key);
    CHECK(parse_token_key(TokenType::blind_rsa, key.bytes).error() == Rejection::bad_key);
    CHECK(parse_token_key(TokenType::ristretto, unhex(rfc::token_key)).error() ==
          Rejection::bad_key);
    CHECK(load_rsa(key).error() == Rejection::bad_key);
  }
}

}  // namespace ticket::token
