#include "crypto/voprf.hpp"

#include <doctest/doctest.h>
#include <sodium.h>

#include <sstream>

#include "support/vectors.hpp"

namespace ticket::crypto::voprf {

namespace {

using support::unhex;

struct Figures {
  std::vector<std::string> inputs, blinds, blinded, evaluated;
  std::string proof, random;
  std::vector<std::string> outputs;
};

struct Key {
  std::string seed, info, secret, key;
};

Scalar scalar(std::string_view text) { return Scalar::copy_of(BytesView(unhex(text)).first<32>()); }

template <class List>
std::vector<BytesView> views(const List& list) {
  return {list.begin(), list.end()};
}

void check(const Key& figures_key, const Figures& figures) {
  const auto key = derive_key(unhex(figures_key.seed), unhex(figures_key.info));
  REQUIRE(key.has_value());
  CHECK(hex(key->expose()) == figures_key.secret);
  const auto key_public = public_key(*key);
  CHECK(hex(key_public) == figures_key.key);

  std::vector<Element> blinded;
  for (std::size_t i = 0; i < figures.inputs.size(); ++i) {
    const auto element = blind(unhex(figures.inputs[i]), scalar(figures.blinds[i]));
    REQUIRE(element.has_value());
    CHECK(hex(*element) == figures.blinded[i]);
    blinded.push_back(*element);
  }
  const auto evaluation =
      evaluate_blinded(*key, key_public, views(blinded), scalar(figures.random));
  REQUIRE(evaluation.has_value());
  CHECK(hex(evaluation->proof) == figures.proof);
  CHECK(verify_proof(key_public, views(blinded), views(evaluation->elements), evaluation->proof));
  for (std::size_t i = 0; i < figures.inputs.size(); ++i) {
    CHECK(hex(evaluation->elements[i]) == figures.evaluated[i]);
    const auto output =
        unblind(unhex(figures.inputs[i]), scalar(figures.blinds[i]), evaluation->elements[i]);
    REQUIRE(output.has_value());
    CHECK(hex(*output) == figures.outputs[i]);
    CHECK(hex(*evaluate(*key, unhex(figures.inputs[i]))) == figures.outputs[i]);
  }
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// The group's order, little-endian (RFC 9496, section 4): 2^252 + 277423...493.
constexpr const char* order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

// A few blinded elements, with their evaluations.
struct Round {
  Scalar key = random_scalar();
  Element key_public = public_key(key);
  std::vector<Element> blinded;
  Evaluation evaluation;

  explicit Round(std::size_t count = 3) {
    for (std::size_t i = 0; i < count; ++i) {
      blinded.push_back(*blind(as_bytes("input " + std::to_string(i)), random_scalar()));
    }
    evaluation = *evaluate_blinded(key, key_public, views(blinded));
  }
  bool verifies() const {
    return verify_proof(key_public, views(blinded), views(evaluation.elements), evaluation.proof);
  }
};

}  // namespace

TEST_SUITE("voprf") {
  TEST_CASE("the figures of RFC 9497, appendix A.1.2") {
    const Key key{"a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3",
                  "74657374206b6579",
                  "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909",
                  "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e"};
    const std::string blind = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
    const std::string random = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";
    const Figures one{{"00"},
                      {blind},
                      {"863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"},
                      {"aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"},
                      "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06"
                      "6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
                      random,
                      {"b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d"
                       "a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c"}};
    const Figures two{{"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"},
                      {blind},
                      {"cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c"},
                      {"60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468"},
                      "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a"
                      "67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
                      random,
                      {"8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60"
                       "356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6"}};
    const Figures batch{
        {one.inputs[0], two.inputs[0]},
        {blind, random},
        {one.blinded[0], "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654"},
        {one.evaluated[0], "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a"},
        "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a"
        "5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
        "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c",
        {one.outputs[0], two.outputs[0]}};
    for (const auto& figures : {one, two, batch}) check(key, figures);
  }

  TEST_CASE("the published vectors of RFC 9497") {
    for (const auto& suite : support::vectors("rfc9497_allVectors.json")) {
      if (suite.at("identifier") != "ristretto255-SHA512" || suite.at("mode") != 1) continue;
      const Key key{suite["seed"], suite["keyInfo"], suite["skSm"], suite["pkSm"]};
      for (const auto& v : suite.at("vectors")) {
        check(key, {split(v["Input"]), split(v["Blind"]), split(v["BlindedElement"]),
                    split(v["EvaluationElement"]), v["Proof"]["proof"], v["Proof"]["r"],
                    split(v["Output"])});
      }
    }
  }

  TEST_CASE("a proof holds for its key, its elements and its order alone") {
    CHECK(Round().verifies());
    CHECK(Round(1).verifies());

    Round other_key;
    other_key.key_public = public_key(random_scalar());
    CHECK_FALSE(other_key.verifies());

    Round one_by_another_key;
    one_by_another_key.evaluation.elements[1] =
        evaluate_blinded(random_scalar(), one_by_another_key.key_public,
                         views(one_by_another_key.blinded))
            ->elements[1];
    CHECK_FALSE(one_by_another_key.verifies());

    Round swapped;
    std::swap(swapped.evaluation.elements[0], swapped.evaluation.elements[1]);
    CHECK_FALSE(swapped.verifies());

    Round fewer;
    fewer.evaluation.elements.pop_back();
    CHECK_FALSE(fewer.verifies());
    fewer.blinded.pop_back();
    CHECK_FALSE(fewer.verifies());

    Round none;
    none.blinded.clear(), none.evaluation.elements.clear();
    CHECK_FALSE(none.verifies());
  }

  TEST_CASE("a proof with any bit changed is none") {
    Round round;
    for (std::size_t at = 0; at < proof_size; ++at) {
      for (const int bit : {0, 7}) {
        round.evaluation.proof[at] ^= std::byte(1 << bit);
        CHECK_FALSE(round.verifies());
        round.evaluation.proof[at] ^= std::byte(1 << bit);
      }
    }
    CHECK(round.verifies());
  }

  TEST_CASE("non-canonical scalars of a proof are refused, though they would verify") {
    // c + L and s + L are the same scalars in another spelling
    for (const std::size_t half : {0, 32}) {
      Round round;
      unsigned carry = 0;
      const auto l = unhex(order);
      for (std::size_t i = 0; i < 32; ++i) {
        const auto sum = std::to_integer<unsigned>(round.evaluation.proof[half + i]) +
                         std::to_integer<unsigned>(l[i]) + carry;
        round.evaluation.proof[half + i] = static_cast<std::byte>(sum);
        carry = sum >> 8;
      }
      REQUIRE(carry == 0);
      CHECK_FALSE(round.verifies());
    }
  }

  TEST_CASE("scalars are canonical and not zero") {
    auto l = unhex(order);
    CHECK_FALSE(valid_scalar(l));
    l[0] ^= std::byte{1};  // one less
    CHECK(valid_scalar(l));
    l[0] ^= std::byte{3};  // two more
    CHECK_FALSE(valid_scalar(l));
    CHECK_FALSE(valid_scalar(Bytes(32)));
    CHECK_FALSE(valid_scalar(Bytes(32, std::byte{0xff})));
    CHECK_FALSE(valid_scalar(Bytes(31, std::byte{1})));
    CHECK_FALSE(valid_scalar(Bytes(33, std::byte{1})));
  }

  TEST_CASE("the identity and non-canonical elements are refused at every door") {
    const Round round;
    // bit 255, which is no part of the field and which libsodium passes over
    auto identity = Bytes(32), element = to_bytes(round.blinded[0]);
    identity.back() = std::byte{0x80};
    element.back() |= std::byte{0x80};
    const struct {
      Bytes bytes;
      const char* what;
    } cases[] = {
        {Bytes(32), "the identity, which libsodium takes for valid"},
        {identity, "the identity with its highest bit set"},
        {element, "an element with its highest bit set"},
        {Bytes(32, std::byte{0xff}), "above the field's prime"},
        // RFC 9496, appendix A.3
        {unhex("00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"), "A.3: field"},
        {unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), "A.3: p"},
        {unhex("0100000000000000000000000000000000000000000000000000000000000000"), "negative"},
        {unhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"), "non-square"},
        {Bytes(31, std::byte{2}), "short"},
        {Bytes(33, std::byte{2}), "long"},
        {Bytes(), "empty"},
    };
    for (const int i : {0, 1, 2}) {
      CHECK(crypto_core_ristretto255_is_valid_point(raw(cases[i].bytes)) == 1);
    }
    for (const auto& c : cases) {
      CAPTURE(c.what);
      CHECK_FALSE(valid_element(c.bytes));
      CHECK(evaluate_blinded(round.key, round.key_public, {round.blinded[0], c.bytes}).error() ==
            Rejection::malformed);
      CHECK(unblind(as_bytes("input"), round.key, c.bytes).error() == Rejection::malformed);
      CHECK_FALSE(verify_proof(round.key_public, {c.bytes}, {round.evaluation.elements[0]},
                               round.evaluation.proof));
      CHECK_FALSE(
          verify_proof(round.key_public, {round.blinded[0]}, {c.bytes}, round.evaluation.proof));
    }
    CHECK(evaluate_blinded(round.key, round.key_public, {}).error() == Rejection::malformed);
  }

  TEST_CASE("elements that sum up to the identity are malformed, and no failure") {
    const Round round;
    CHECK(prove(round.key, round.key_public, Element{}, random_scalar()).error() ==
          Rejection::malformed);
    CHECK(prove(round.key, round.key_public, round.blinded[0], random_scalar()).has_value());
  }

  TEST_CASE("the output says nothing of the blind, and everything of key and input") {
    const Round round(1);
    const auto output = evaluate(round.key, as_bytes("input"));
    for (int i = 0; i < 3; ++i) {
      const auto factor = random_scalar();
      const auto element = blind(as_bytes("input"), factor);
      const auto evaluation = evaluate_blinded(round.key, round.key_public, {*element});
      CHECK(*unblind(as_bytes("input"), factor, evaluation->elements[0]) == *output);
    }
    CHECK(*evaluate(round.key, as_bytes("inpux")) != *output);
    CHECK(*evaluate(random_scalar(), as_bytes("input")) != *output);
  }
}

}  // namespace ticket::crypto::voprf
