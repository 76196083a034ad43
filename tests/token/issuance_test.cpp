#include "token/issuance.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "samples.hpp"
#include "support/vectors.hpp"

namespace ticket::token {

namespace {

using samples::both;
using support::unhex;

Bytes joined(std::initializer_list<BytesView> parts) {
  Bytes bytes;
  for (const auto part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

}  // namespace

TEST_SUITE("token request") {
  TEST_CASE("requests of both types and forms go both ways, in the standard's sizes") {
    const Bytes rsa(256, std::byte{1}), a(32, std::byte{2}), b(32, std::byte{3});
    const struct {
      TokenType type;
      Form form;
      std::vector<BytesView> blinded;
      std::size_t size;
    } cases[] = {
        {TokenType::blind_rsa, Form::single, {rsa}, 259},
        {TokenType::ristretto, Form::single, {a}, 35},
        {TokenType::ristretto, Form::batch, {a}, 36},
        {TokenType::ristretto, Form::batch, {a, b}, 69},
        {TokenType::ristretto, Form::batch, std::vector<BytesView>(256, a), 3 + 2 + 8192},
    };
    for (const auto& c : cases) {
      CAPTURE(c.size);
      const auto bytes = write_request({c.type, 0x42, c.blinded}, c.form, both);
      REQUIRE(bytes.has_value());
      CHECK(bytes->size() == c.size);

      const auto request = parse_request(*bytes, c.form, both);

      REQUIRE(request.has_value());
      CHECK(request->type == c.type);
      CHECK(request->truncated_key_id == 0x42);
      CHECK(std::ranges::equal(request->blinded, c.blinded,
                               [](BytesView x, BytesView y) { return hex(x) == hex(y); }));
      for (std::size_t size = 0; size < bytes->size(); size += size < 400 ? 1 : 97) {
        CHECK(parse_request(BytesView(*bytes).first(size), c.form, both).error() ==
              Rejection::malformed);
      }
      auto longer = *bytes;
      longer.push_back(std::byte{0});
      CHECK(parse_request(longer, c.form, both).error() == Rejection::malformed);
    }
  }

  TEST_CASE("lengths of a batch that lie, or are spelled too long") {
    const Bytes element(32, std::byte{2}), much(300 * 32, std::byte{2});
    const struct {
      const char *length, *what;
      std::size_t elements;
    } cases[] = {
        {"00", "none", 0},
        {"4000", "none, in two bytes", 0},
        {"1f", "a part of an element", 1},
        {"21", "an element and a byte", 1},
        {"4040", "more than there is", 1},
        {"4020", "one, spelled in two bytes", 1},
        {"80000020", "one, spelled in four", 1},
        {"c000000000000020", "one, spelled in eight", 1},
        {"6020", "257: more than 256", 257},
        {"ffffffffffffffff", "2^62 - 1", 300},
        {"ffffffffffffffe0", "2^62 - 32, whole elements", 300},
        {"bfffffe0", "2^30 - 32", 300},
        {"c0", "a length that is cut", 0},
        {"", "no length", 0},
    };
    for (const auto& c : cases) {
      CAPTURE(c.what);
      const auto elements = BytesView(c.elements == 1 ? element : much).first(c.elements * 32);
      const auto request = joined({unhex("000542"), unhex(c.length), elements});
      CHECK(parse_request(request, Form::batch, both).error() == Rejection::malformed);
      const auto response = joined({unhex(c.length), elements, Bytes(64)});
      CHECK(parse_response(response, TokenType::ristretto, Form::batch).error() ==
            Rejection::malformed);
    }
  }

  TEST_CASE("there are no batches of blind RSA, and no requests of other types") {
    const Bytes rsa(256);
    CHECK(parse_request(joined({unhex("000242"), rsa}), Form::batch, both).error() ==
          Rejection::unsupported);
    CHECK(write_request({TokenType::blind_rsa, 1, {rsa}}, Form::batch, both).error() ==
          Rejection::unsupported);
    CHECK(parse_response(rsa, TokenType::blind_rsa, Form::batch).error() == Rejection::unsupported);
    CHECK(parse_request(joined({unhex("000142"), Bytes(49)}), Form::single, both).error() ==
          Rejection::unsupported);
    CHECK(parse_request(joined({unhex("000542"), Bytes(32)}), Form::single, TokenTypes()).error() ==
          Rejection::unsupported);
  }

  TEST_CASE("what could not be parsed is not written") {
    const Bytes element(32), half(31);
    using Elements = std::vector<BytesView>;
    for (const auto& elements : {Elements{}, Elements{half}, Elements(257, element)}) {
      CHECK(write_request({TokenType::ristretto, 1, elements}, Form::batch, both).error() ==
            Rejection::malformed);
      CHECK(write_response({elements, Bytes(64)}, TokenType::ristretto, Form::batch).error() ==
            Rejection::malformed);
    }
    CHECK(
        write_request({TokenType::ristretto, 1, {element, element}}, Form::single, both).error() ==
        Rejection::malformed);
    CHECK(write_response({{element}, Bytes(63)}, TokenType::ristretto, Form::single).error() ==
          Rejection::malformed);
  }
}

TEST_SUITE("token response") {
  TEST_CASE("responses go both ways, in the standard's sizes; every truncation is malformed") {
    const Bytes rsa(256, std::byte{1}), a(32, std::byte{2}), proof(64, std::byte{4});
    const struct {
      TokenType type;
      Form form;
      TokenResponse response;
      std::size_t size;
    } cases[] = {
        {TokenType::blind_rsa, Form::single, {{rsa}, {}}, 256},
        {TokenType::ristretto, Form::single, {{a}, proof}, 96},
        {TokenType::ristretto, Form::batch, {{a, a, a}, proof}, 2 + 96 + 64},
    };
    for (const auto& c : cases) {
      CAPTURE(c.size);
      const auto bytes = write_response(c.response, c.type, c.form);
      REQUIRE(bytes.has_value());
      CHECK(bytes->size() == c.size);
      const auto again = parse_response(*bytes, c.type, c.form);
      REQUIRE(again.has_value());
      CHECK(again->evaluated.size() == c.response.evaluated.size());
      CHECK(hex(again->proof) == hex(c.response.proof));
      for (std::size_t size = 0; size < bytes->size(); ++size) {
        CHECK(parse_response(BytesView(*bytes).first(size), c.type, c.form).error() ==
              Rejection::malformed);
      }
      auto longer = *bytes;
      longer.push_back(std::byte{0});
      CHECK(parse_response(longer, c.type, c.form).error() == Rejection::malformed);
    }
  }
}

}  // namespace ticket::token
