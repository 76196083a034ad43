#include "token/directory.hpp"

#include <doctest/doctest.h>

#include "samples.hpp"
#include "support/vectors.hpp"
#include "token/rfc_figures.hpp"

namespace ticket::token {

namespace {

using samples::both;
using samples::noon;
using support::unhex;

std::string with_key(const std::string& fields) {
  return R"({"issuer-request-uri": "/request", "token-keys": [{)" + fields + "}]}";
}

}  // namespace

TEST_SUITE("directory") {
  TEST_CASE("a directory goes both ways, keys of other types too") {
    const Directory directory{
        "https://issuer.example/token-request",
        {{2, unhex(rfc::token_key), noon}, {1, unhex(rfc::header_key_type1), std::nullopt}}};
    const auto text = write_directory(directory);
    CHECK(text.find("\"token-key\":\"MIIBUjA9BgkqhkiG9w0BAQow") != std::string::npos);
    const auto again = parse_directory(text);
    REQUIRE(again.has_value());
    CHECK(*again == directory);
  }

  TEST_CASE("the first key that is fit and begun is the one to use") {
    const auto& rsa = samples::issuer_key(TokenType::blind_rsa).public_key();
    const Directory directory{"/request",
                              {{2, unhex(rfc::token_key), noon + seconds(60)},
                               {2, Bytes(342), std::nullopt},
                               {1, unhex(rfc::header_key_type1), std::nullopt},
                               {2, rsa.bytes, noon - seconds(60)}}};
    CHECK(*directory.key(TokenType::blind_rsa, both, noon) == rsa);
    CHECK(hex(directory.key(TokenType::blind_rsa, both, noon + seconds(60))->id) == rfc::key_id);
    CHECK(directory.key(TokenType::blind_rsa, both, noon - seconds(61)).error() ==
          Rejection::no_key);
    CHECK(directory.key(TokenType::ristretto, both, noon).error() == Rejection::no_key);
    CHECK(directory.key(TokenType::ristretto, TokenTypes(), noon).error() ==
          Rejection::unsupported);
  }

  TEST_CASE("every truncation of a directory is malformed") {
    const auto text = write_directory({"/request", {{2, unhex(rfc::token_key), noon}}});
    REQUIRE(parse_directory(text).has_value());
    for (std::size_t size = 0; size < text.size(); ++size) {
      CAPTURE(size);
      CHECK(parse_directory(text.substr(0, size)).error() == Rejection::malformed);
    }
  }

  TEST_CASE("what is no directory") {
    const std::string keys[] = {
        R"("token-type": 2)",
        R"("token-key": "YQ==")",
        R"("token-type": "2", "token-key": "YQ==")",
        R"("token-type": 65536, "token-key": "YQ==")",
        R"("token-type": -2, "token-key": "YQ==")",
        R"("token-type": 2.5, "token-key": "YQ==")",
        R"("token-type": 2, "token-key": "YQ")",
        R"("token-type": 2, "token-key": "YR==")",
        R"("token-type": 2, "token-key": "")",
        R"("token-type": 2, "token-key": 5)",
        R"("token-type": 2, "token-key": "YQ==", "not-before": -1)",
        R"("token-type": 2, "token-key": "YQ==", "not-before": "1")",
        R"("token-type": 2, "token-key": "YQ==", "not-before": 1152921504606846976)",
    };
    CHECK(parse_directory(with_key(R"("token-type": 2, "token-key": "YQ==", "new": {})")));
    for (const auto& key : keys) {
      CAPTURE(key);
      CHECK(parse_directory(with_key(key)).error() == Rejection::malformed);
    }
    const std::string texts[] = {
        "",
        "[]",
        "null",
        R"({"issuer-request-uri": "/request"})",
        R"({"token-keys": []})",
        R"({"issuer-request-uri": "", "token-keys": []})",
        R"({"issuer-request-uri": "/a b", "token-keys": []})",
        R"({"issuer-request-uri": "/a\nb", "token-keys": []})",
        R"({"issuer-request-uri": 5, "token-keys": []})",
        R"({"issuer-request-uri": "/request", "token-keys": {}})",
        R"({"issuer-request-uri": "/request", "token-keys": [5]})",
        R"({"issuer-request-uri": "/request", "token-keys": []} x)",
        std::string(100'000, '['),
        R"({"issuer-request-uri": "/request", "token-keys": [)" + std::string(60'000, '[') + "]}",
        R"({"issuer-request-uri": "/request", "token-keys": []})" + std::string(70'000, ' '),
    };
    for (const auto& text : texts) {
      CAPTURE(text.substr(0, 80));
      CHECK(parse_directory(text).error() == Rejection::malformed);
    }
    CHECK(parse_directory(R"({"issuer-request-uri": "/request", "token-keys": []})").has_value());
  }
}

}  // namespace ticket::token
