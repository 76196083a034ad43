#include "crypto/blind_rsa.hpp"

#include <doctest/doctest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <thread>

#include "crypto/rfc9474.hpp"
#include "support/vectors.hpp"

namespace ticket::crypto {

namespace {

using support::unhex;

struct Figures {
  Bytes n, e, d, p, q, message, salt, inverse, blinded, blind_signature, signature;
};

Figures appendix_a3() {
  using namespace rfc9474;
  return {unhex(n),    unhex(e),   unhex(d),           unhex(p),         unhex(q),  unhex(msg),
          unhex(salt), unhex(inv), unhex(blinded_msg), unhex(blind_sig), unhex(sig)};
}

BIGNUM* number(BytesView bytes) {
  return BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr);
}

// The private key of the figures, in DER.
BlindRsaPrivate private_key(const Figures& figures) {
  auto* builder = OSSL_PARAM_BLD_new();
  auto* context = BN_CTX_new();
  auto *n = number(figures.n), *e = number(figures.e), *d = number(figures.d);
  auto *p = number(figures.p), *q = number(figures.q);
  auto *dp = BN_new(), *dq = BN_new(), *q_inverse = BN_new();
  BN_sub_word(p, 1), BN_sub_word(q, 1);
  BN_mod(dp, d, p, context), BN_mod(dq, d, q, context);
  BN_add_word(p, 1), BN_add_word(q, 1);
  BN_mod_inverse(q_inverse, q, p, context);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, d);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, p);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, q);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, dp);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, dq);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, q_inverse);
  auto* parameters = OSSL_PARAM_BLD_to_param(builder);
  auto* maker = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* key = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(maker) == 1);
  REQUIRE(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, parameters) == 1);
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(key, &der);
  REQUIRE(size > 0);
  auto parsed =
      BlindRsaPrivate::parse(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  EVP_PKEY_free(key), EVP_PKEY_CTX_free(maker), OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder), BN_CTX_free(context);
  for (auto* value : {n, e, d, p, q, dp, dq, q_inverse}) BN_free(value);
  REQUIRE(parsed.has_value());
  return std::move(*parsed);
}

// The factor whose inverse the figures give.
Bytes inverted(BytesView value, BytesView modulus) {
  auto* context = BN_CTX_new();
  auto *v = number(value), *n = number(modulus);
  auto* inverse = BN_mod_inverse(nullptr, v, n, context);
  Bytes bytes(modulus.size());
  BN_bn2binpad(inverse, raw(bytes), static_cast<int>(bytes.size()));
  BN_free(v), BN_free(n), BN_free(inverse), BN_CTX_free(context);
  return bytes;
}

void check(const Figures& figures) {
  const auto issuer = private_key(figures);
  const auto& key = issuer.public_key();

  const auto blinded =
      key.blind(figures.message, figures.salt, inverted(figures.inverse, figures.n));
  REQUIRE(blinded.has_value());
  CHECK(hex(blinded->blinded) == hex(figures.blinded));
  CHECK(hex(blinded->inverse.expose()) == hex(figures.inverse));

  const auto signed_blindly = issuer.blind_sign(figures.blinded);
  REQUIRE(signed_blindly.has_value());
  CHECK(hex(*signed_blindly) == hex(figures.blind_signature));

  const auto signature = key.finalize(figures.message, blinded->inverse, *signed_blindly);
  REQUIRE(signature.has_value());
  CHECK(hex(*signature) == hex(figures.signature));
  CHECK(key.verify(figures.message, *signature));
}

// One for all cases: making one takes half a second.
const BlindRsaPrivate& issuer() {
  static const auto key = BlindRsaPrivate::generate();
  return key;
}

Bytes signature_over(BytesView message) {
  const auto& key = issuer().public_key();
  const auto blinded = key.blind(message);
  REQUIRE(blinded.has_value());
  const auto answer = issuer().blind_sign(blinded->blinded);
  REQUIRE(answer.has_value());
  const auto signature = key.finalize(message, blinded->inverse, *answer);
  REQUIRE(signature.has_value());
  return *signature;
}

Bytes flipped(BytesView bytes, std::size_t at) {
  auto copy = to_bytes(bytes);
  copy[at] ^= std::byte{1};
  return copy;
}

}  // namespace

TEST_SUITE("blind RSA") {
  TEST_CASE("the figures of RFC 9474, appendix A.3") { check(appendix_a3()); }

  TEST_CASE("the published vectors of RFC 9474") {
    for (const auto& v : support::vectors("rfc9474_blindrsa-ts.json")) {
      if (v.at("name") != "RSABSSA-SHA384-PSS-Deterministic") continue;
      check({unhex(v, "n"), unhex(v, "e"), unhex(v, "d"), unhex(v, "p"), unhex(v, "q"),
             unhex(v, "input_msg"), unhex(v, "salt"), unhex(v, "inv"), unhex(v, "blinded_msg"),
             unhex(v, "blind_sig"), unhex(v, "sig")});
    }
  }

  TEST_CASE("a signature is one over its message and no other, to the last bit") {
    const std::string message = "the message";
    const auto signature = signature_over(as_bytes(message));
    const auto& key = issuer().public_key();
    CHECK(key.verify(as_bytes(message), signature));

    CHECK_FALSE(key.verify(as_bytes("another message"), signature));
    for (std::size_t at = 0; at < signature.size(); ++at) {
      CAPTURE(at);
      CHECK_FALSE(key.verify(as_bytes(message), flipped(signature, at)));
    }
    for (const std::size_t size : {0, 1, 255}) {
      CHECK_FALSE(key.verify(as_bytes(message), BytesView(signature).first(size)));
    }
    auto longer = signature;
    longer.push_back(std::byte{0});
    CHECK_FALSE(key.verify(as_bytes(message), longer));
  }

  TEST_CASE("a signature is as long as the modulus: without its leading zero it is none") {
    Bytes signature;
    std::string message;
    for (int i = 0; i < 10'000 && (signature.empty() || signature[0] != std::byte{0}); ++i) {
      message = "message " + std::to_string(i);
      signature = signature_over(as_bytes(message));
    }
    REQUIRE(signature[0] == std::byte{0});
    const auto& key = issuer().public_key();
    CHECK(key.verify(as_bytes(message), signature));
    CHECK_FALSE(key.verify(as_bytes(message), BytesView(signature).subspan(1)));
    auto longer = signature;
    longer.insert(longer.begin(), std::byte{0});
    CHECK_FALSE(key.verify(as_bytes(message), longer));
  }

  TEST_CASE("a signature whose salt is not 48 bytes is none") {
    // made by OpenSSL with the private key itself
    const std::string message = "the message";
    const auto der = issuer().der();
    const auto* at = raw(der.expose());
    auto* key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
    for (const int salt : {48, 0, 20, 47, 49}) {
      CAPTURE(salt);
      auto* context = EVP_MD_CTX_new();
      EVP_PKEY_CTX* parameters = nullptr;
      Bytes signature(256);
      std::size_t size = signature.size();
      REQUIRE(EVP_DigestSignInit(context, &parameters, EVP_sha384(), nullptr, key) == 1);
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt);
      REQUIRE(EVP_DigestSign(context, raw(signature), &size, raw(as_bytes(message)),
                             message.size()) == 1);
      EVP_MD_CTX_free(context);
      CHECK(issuer().public_key().verify(as_bytes(message), signature) == (salt == 48));
    }
    EVP_PKEY_free(key);
  }

  TEST_CASE("blinding is fresh each time, and so is the salt") {
    const std::string message = "the message";
    const auto& key = issuer().public_key();
    const auto a = key.blind(as_bytes(message)), b = key.blind(as_bytes(message));

    CHECK(a->blinded != b->blinded);
    CHECK(hex(a->inverse.expose()) != hex(b->inverse.expose()));
    CHECK(signature_over(as_bytes(message)) != signature_over(as_bytes(message)));
  }

  TEST_CASE("an answer to another request, or a false one, is forged") {
    const std::string message = "the message";
    const auto& key = issuer().public_key();
    const auto mine = key.blind(as_bytes(message)), other = key.blind(as_bytes(message));
    const auto answer = issuer().blind_sign(other->blinded);
    REQUIRE(answer.has_value());

    CHECK(key.finalize(as_bytes(message), mine->inverse, *answer).error() == Rejection::forged);
    CHECK(key.finalize(as_bytes(message), other->inverse, flipped(*answer, 100)).error() ==
          Rejection::forged);
    CHECK(key.finalize(as_bytes(message), other->inverse, BytesView(*answer).first(255)).error() ==
          Rejection::malformed);
  }

  TEST_CASE("what is not below the modulus is not signed") {
    const auto& n = issuer().public_key().modulus();
    auto below = n;
    below.back() &= std::byte{0xfe};
    CHECK(issuer().blind_sign(below).has_value());
    CHECK(issuer().blind_sign(n).error() == Rejection::malformed);
    CHECK(issuer().blind_sign(Bytes(256, std::byte{0xff})).error() == Rejection::malformed);
    for (const std::size_t size : {0, 255, 257}) {
      CHECK(issuer().blind_sign(Bytes(size)).error() == Rejection::malformed);
    }
  }

  TEST_CASE("unfit public keys are refused") {
    const Bytes e = unhex("010001");
    const auto& n = issuer().public_key().modulus();
    CHECK(BlindRsaPublic::load(n, e).has_value());

    auto even = n;
    even.back() &= std::byte{0xfe};
    CHECK(BlindRsaPublic::load(even, e).error() == Rejection::bad_key);
    CHECK(BlindRsaPublic::load(BytesView(n).first(255), e).error() == Rejection::bad_key);
    CHECK(BlindRsaPublic::load({}, e).error() == Rejection::bad_key);
    CHECK(BlindRsaPublic::load(Bytes(100'000, std::byte{0xff}), e).error() == Rejection::bad_key);
    for (const char* exponent : {"", "00", "01", "02", "010000"}) {
      CAPTURE(exponent);
      CHECK(BlindRsaPublic::load(n, unhex(exponent)).error() == Rejection::bad_key);
    }
  }

  TEST_CASE("a private key goes through DER, whole or not at all") {
    const auto der = issuer().der();
    const auto again = BlindRsaPrivate::parse(der.expose());
    REQUIRE(again.has_value());
    CHECK(again->public_key().modulus() == issuer().public_key().modulus());

    for (std::size_t size = 0; size < der.size(); size += 7) {
      CAPTURE(size);
      CHECK_FALSE(BlindRsaPrivate::parse(der.expose().first(size)).has_value());
    }
    auto longer = to_bytes(der.expose());
    longer.push_back(std::byte{0});
    CHECK_FALSE(BlindRsaPrivate::parse(longer).has_value());
  }

  TEST_CASE("keys of another kind are refused") {
    for (auto* key : {EVP_EC_gen("P-256"), EVP_RSA_gen(1024)}) {
      unsigned char* der = nullptr;
      const int size = i2d_PrivateKey(key, &der);
      REQUIRE(size > 0);
      const auto bytes = std::as_bytes(std::span(der, static_cast<std::size_t>(size)));
      CHECK(BlindRsaPrivate::parse(bytes).error() == Rejection::bad_key);
      OPENSSL_free(der);
      EVP_PKEY_free(key);
    }
  }

  TEST_CASE("failed attempts leave nothing in OpenSSL's error queue") {
    ERR_clear_error();
    CHECK_FALSE(issuer().public_key().verify(as_bytes("m"), Bytes(256, std::byte{0xff})));
    CHECK_FALSE(BlindRsaPrivate::parse(as_bytes("not DER")).has_value());
    CHECK(ERR_peek_error() == 0);
  }

  TEST_CASE("threads share a key") {
    const std::string message = "the message";
    const auto signature = signature_over(as_bytes(message));
    std::vector<std::thread> threads;
    std::atomic<int> verified{0};
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 200; ++k) {
          verified += issuer().public_key().verify(as_bytes(message), signature) ? 1 : 0;
          verified += issuer().public_key().verify(as_bytes("other"), signature) ? 1000 : 0;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(verified == 800);
  }
}

}  // namespace ticket::crypto
