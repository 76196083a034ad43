#include "token/challenge.hpp"

#include <doctest/doctest.h>

#include "support/vectors.hpp"
#include "token/rfc_figures.hpp"

namespace ticket::token {

namespace {

using support::unhex;

const TokenTypes types;

Challenge sample() {
  Challenge challenge{TokenType::blind_rsa, "issuer.example", ByteArray<32>{}, "a.test,b.test"};
  challenge.redemption_context->fill(std::byte{7});
  return challenge;
}

}  // namespace

TEST_SUITE("challenge") {
  TEST_CASE("the challenges of RFC 9578, appendix A.2, are written as they were parsed") {
    for (const auto& figures : rfc::issuance) {
      CAPTURE(figures.challenge);
      const auto challenge = parse_challenge(unhex(figures.challenge), types);
      REQUIRE(challenge.has_value());
      CHECK(challenge->issuer == "issuer.example");
      CHECK(hex(*write_challenge(*challenge, types)) == figures.challenge);
    }
    CHECK(parse_challenge(unhex(rfc::issuance[2].challenge), types)->origin_info ==
          "foo.example,bar.example");
  }

  TEST_CASE("every truncation is malformed, and so is a byte too much") {
    const auto bytes = *write_challenge(sample(), types);
    CHECK(*parse_challenge(bytes, types) == sample());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK(parse_challenge(BytesView(bytes).first(size), types).error() == Rejection::malformed);
    }
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK(parse_challenge(longer, types).error() == Rejection::malformed);
  }

  TEST_CASE("fields out of their range") {
    const struct {
      const char *bytes, *what;
      Rejection why;
    } cases[] = {
        {"0002000000"
         "0000",
         "no issuer", Rejection::malformed},
        {"000200016101aa0000", "a context of 1 byte", Rejection::malformed},
        {"0002000161ff0000", "a context that is not there", Rejection::malformed},
        {"0002ffff61000000", "an issuer that is not there", Rejection::malformed},
        {"00020001610000ff61", "an origin that is not there", Rejection::malformed},
        {"0002000120000000", "a space", Rejection::malformed},
        {"000200010a000000", "a line's end in the issuer", Rejection::malformed},
        {"0002000161000001"
         "1b",
         "an escape in the origin", Rejection::malformed},
        {"00020001c3000000", "beyond ASCII", Rejection::malformed},
        {"0001000161000000", "another type", Rejection::unsupported},
        {"0005000161000000", "a type that is off", Rejection::unsupported},
        {"0000000161000000", "type 0", Rejection::unsupported},
    };
    for (const auto& c : cases) {
      CAPTURE(c.what);
      CHECK(parse_challenge(unhex(c.bytes), types).error() == c.why);
    }
    CHECK(parse_challenge(unhex("0002000161000000"), types).has_value());
  }

  TEST_CASE("what could not be parsed is not written") {
    for (const std::string issuer : {"", "a b", "a\n"}) {
      auto challenge = sample();
      challenge.issuer = issuer;
      CHECK(write_challenge(challenge, types).error() == Rejection::malformed);
    }
    auto challenge = sample();
    challenge.origin_info = std::string(0x10000, 'a');
    CHECK(write_challenge(challenge, types).error() == Rejection::malformed);
    challenge.origin_info.pop_back();
    CHECK(*parse_challenge(*write_challenge(challenge, types), types) == challenge);
  }

  TEST_CASE("origins are what stands between commas") {
    const auto origins = [](std::string info) {
      Challenge challenge;
      challenge.origin_info = std::move(info);
      std::string joined;
      for (const auto name : challenge.origins()) joined += std::string(name) + ";";
      return joined;
    };
    CHECK(origins("") == "");
    CHECK(origins("a.test") == "a.test;");
    CHECK(origins("a.test,b.test") == "a.test;b.test;");
    CHECK(origins(",a.test,,b.test,") == "a.test;b.test;");
  }
}

}  // namespace ticket::token
