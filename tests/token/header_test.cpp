#include "token/header.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "support/vectors.hpp"
#include "token/rfc_figures.hpp"

namespace ticket::token {

namespace {

using support::unhex;

std::string refusal(const Checked<Bytes>& token) {
  return token ? "accepted " + std::string(as_text(*token)) : to_text(token.error());
}

}  // namespace

TEST_SUITE("WWW-Authenticate") {
  TEST_CASE("the field of RFC 9577, appendix A.2: two challenges, a parameter to ignore") {
    const auto challenges = parse_authenticate(rfc::header);
    REQUIRE(challenges.has_value());
    const std::vector<HeaderChallenge> expected = {
        {unhex(rfc::header_challenge), unhex(rfc::token_key), seconds(10)},
        {unhex(rfc::header_challenge_type1), unhex(rfc::header_key_type1), seconds(10)}};
    CHECK(*challenges == expected);
    CHECK(*parse_authenticate(write_authenticate(expected)) == expected);
  }

  TEST_CASE("the published vectors of RFC 9577: fields") {
    for (const auto& v : support::vectors("privacypass-ts_auth_scheme_header_v14.json")) {
      const auto challenges = parse_authenticate(v.at("WWW-Authenticate").get<std::string>());
      REQUIRE(challenges.has_value());
      for (std::size_t i = 0; i < challenges->size(); ++i) {
        const auto number = std::to_string(i);
        const auto& challenge = challenges->at(i);
        CHECK(hex(challenge.challenge) == v.at("token-challenge-" + number));
        CHECK(hex(challenge.token_key) == v.at("token-key-" + number));
        CHECK(challenge.max_age->count() == v.at("max-age-" + number));
      }
      CHECK_FALSE(v.contains("token-type-" + std::to_string(challenges->size())));
    }
  }

  TEST_CASE("what is a challenge and what is passed over") {
    const struct {
      const char *field, *challenges;  // the challenges' text, or why not
    } cases[] = {
        {"PrivateToken challenge=\"YQ==\"", "a;"},
        {"PrivateToken challenge=YQ==", "a;"},
        {"privatetoken CHALLENGE = \"YQ==\" ", "a;"},
        {"PrivateToken challenge=\"Y\\Q==\"", "a;"},
        {"PrivateToken challenge=\"\\Y\\Q\\=\\=\"", "a;"},
        {"Basic realm=\"a\\\"b\\\\\", PrivateToken challenge=YQ==", "a;"},
        {"Basic realm=\"a\\\\\"b\", PrivateToken challenge=YQ==", "malformed"},
        {"PrivateToken max-age=5,challenge=\"YQ==\"", "a;"},
        {"PrivateToken challenge=YQ==, PrivateToken challenge=Yg==", "a;b;"},
        {"Basic realm=\"x, PrivateToken challenge=YQ==\"", ""},
        {"Basic realm=\"x\", PrivateToken challenge=YQ==, Digest nonce=\"a\", qop=b", "a;"},
        {"Negotiate, PrivateToken challenge=YQ==", "a;"},
        {"Negotiate YWJj==, PrivateToken challenge=YQ==", "a;"},
        {", ,PrivateToken challenge=YQ==,,", "a;"},
        {"", ""},
        {"PrivateToken", ""},
        {"PrivateToken max-age=5", ""},
        {"PrivateToken challenge=YQ", ""},
        {"PrivateToken challenge=YR==", ""},
        {"PrivateToken challenge=\"\"", ""},
        {"PrivateToken challenge=YQ==, challenge=YQ==", ""},
        {"PrivateToken challenge=YQ==, token-key=x", ""},
        {"PrivateToken challenge=YQ==, max-age=-1", ""},
        {"PrivateToken challenge=YQ==, max-age=99999999999", ""},
        {"PrivateToken challenge=YQ==, max-age=1x, PrivateToken challenge=Yg==", "b;"},
        {"challenge=YQ==", "malformed"},
        {"PrivateToken challenge=\"YQ==", "malformed"},
        {"PrivateToken challenge=\"YQ==\\", "malformed"},
        {"PrivateToken challenge=\"YQ==\" max-age=5", "malformed"},
        {"PrivateToken challenge=YQ== x", "malformed"},
        {"\"PrivateToken\" challenge=YQ==", "malformed"},
        {"PrivateToken challenge=(YQ==)", "malformed"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.field);
      std::string found;
      if (const auto challenges = parse_authenticate(c.field)) {
        for (const auto& challenge : *challenges)
          found += std::string(as_text(challenge.challenge)) + ";";
      } else {
        found = to_text(challenges.error());
      }
      CHECK(found == c.challenges);
    }
  }

  TEST_CASE("a field that is cut off has whole challenges or none") {
    const auto whole = *parse_authenticate(rfc::header);
    const std::string_view field = rfc::header;
    for (std::size_t size = 0; size < field.size(); ++size) {
      CAPTURE(size);
      const auto cut = parse_authenticate(field.substr(0, size));
      if (!cut) {
        CHECK(cut.error() == Rejection::malformed);
        continue;
      }
      REQUIRE(cut->size() <= whole.size());
      for (std::size_t i = 0; i < cut->size(); ++i) {
        CHECK(cut->at(i).challenge == whole.at(i).challenge);
        const auto& key = cut->at(i).token_key;  // may be missing, and is not cut
        CHECK((key.empty() || key == whole.at(i).token_key));
      }
    }
  }

  TEST_CASE("max-age and token-key may be missing") {
    const auto challenges = parse_authenticate("PrivateToken challenge=YQ==");
    CHECK(challenges->at(0).token_key.empty());
    CHECK_FALSE(challenges->at(0).max_age.has_value());
    CHECK(write_authenticate(*challenges) == "PrivateToken challenge=\"YQ==\"");
  }
}

TEST_SUITE("Authorization") {
  TEST_CASE("a token goes both ways, in its standard length") {
    for (const auto& [size, characters] : {std::pair(354, 472), std::pair(162, 216)}) {
      const Bytes token(static_cast<std::size_t>(size), std::byte{0xa5});
      const auto value = write_authorization(token);
      CHECK(value.size() ==
            std::string("PrivateToken token=\"\"").size() + static_cast<std::size_t>(characters));
      CHECK(*parse_authorization(value) == token);
    }
  }

  TEST_CASE("what is a token and what is not") {
    const struct {
      const char *value, *verdict;
    } cases[] = {
        {"PrivateToken token=\"YWI=\"", "accepted ab"},
        {"PrivateToken token=YWI=", "accepted ab"},
        {"PRIVATETOKEN  Token=\"YWI=\"", "accepted ab"},
        {"PrivateToken other=1, token=YWI=, more=\"x\"", "accepted ab"},
        {"PrivateToken token=\"YWI\"", "malformed"},
        {"PrivateToken token=\"YWJ=\"", "malformed"},
        {"PrivateToken token=\"YWI==\"", "malformed"},
        {"PrivateToken token=\"YW+/\"", "malformed"},
        {"PrivateToken token=\"YW I=\"", "malformed"},
        {"PrivateToken token=YWI=, token=YWI=", "malformed"},
        {"PrivateToken token=YWI=, Token=YWI=", "malformed"},
        {"PrivateToken YWI=", "malformed"},
        {"PrivateToken token=", "malformed"},
        {"PrivateToken token=\"\"", "malformed"},
        {"PrivateToken", "malformed"},
        {"", "malformed"},
        {"PrivateToken token=YWI=, PrivateToken token=YWI=", "malformed"},
        {"Bearer YWI=", "unsupported"},
        {"Basic dXNlcjpwYXNz", "unsupported"},
        {"PrivateTokens token=YWI=", "unsupported"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.value);
      CHECK(refusal(parse_authorization(c.value)) == c.verdict);
    }
  }

  TEST_CASE("every truncation of a value is refused") {
    const auto value = write_authorization(Bytes(162, std::byte{0xa5}));
    for (std::size_t size = 0; size < value.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(parse_authorization(std::string_view(value).substr(0, size)).has_value());
    }
  }

  TEST_CASE("a field of escapes alone is read in linear time") {
    std::string escapes;
    while (escapes.size() < 60'000) escapes += "\\a";
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) {
      CHECK(parse_authenticate("Basic realm=\"" + escapes + "\"")->empty());
    }
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));
  }

  TEST_CASE("fields of 100 KB are refused, whatever is in them") {
    const std::string big(100'000, 'A'), commas(100'000, ','), quotes(100'000, '"');
    for (const auto& text :
         {big, commas, quotes, "PrivateToken token=" + big, "PrivateToken token=YWI=" + commas}) {
      CHECK(parse_authorization(text).error() == Rejection::malformed);
      CHECK(parse_authenticate(text).error() == Rejection::malformed);
    }
  }
}

}  // namespace ticket::token
