#include "ring/policy.hpp"

#include <doctest/doctest.h>

namespace ticket::ring {

TEST_SUITE("policy") {
  TEST_CASE("the defaults hold") { CHECK_FALSE(problem(Policy{}).has_value()); }

  TEST_CASE("an impossible policy is refused, and the field named") {
    struct {
      Policy policy;
      const char* says;
    } const cases[] = {
        {{.rotate_every = 0s}, "rotate_every = 0s is too short: at least 1s"},
        {{.lifetime = 8 * 24h}, "lifetime = 8d is too long: at most 7d (RFC 8446, 4.6.1)"},
        {{.lifetime = 0s}, "lifetime = 0s is too short"},
        {{.publish_ahead = 59min}, "publish_ahead = 59m is too short: at least rotate_every (1h)"},
        {{.stretch = -1s}, "stretch = -1s is out of range"},
        {{.lineage = 0s}, "lineage = 0s is too short"},
        {{.lineage = 366 * 24h}, "lineage = 366d is too long"},
        {{.rotate_every = 10min}, "= 111 epochs at once; at most 64"},
    };
    for (const auto& test : cases) {
      CAPTURE(test.says);
      REQUIRE(problem(test.policy).has_value());
      CHECK(problem(test.policy)->find(test.says) != std::string::npos);
    }
  }

  TEST_CASE("64 epochs at once are allowed, 65 not") {
    CHECK_FALSE(problem({.rotate_every = 1h, .lifetime = 55h, .publish_ahead = 6h}).has_value());
    CHECK(problem({.rotate_every = 1h, .lifetime = 56h, .publish_ahead = 6h}).has_value());
  }

  TEST_CASE("durations are read with their unit, and only so") {
    struct {
      const char* text;
      std::optional<seconds> value;
    } const cases[] = {
        {"90s", 90s},
        {"5m", 5min},
        {"12h", 12h},
        {"7d", 7 * 24h},
        {"0s", 0s},
        {"5", std::nullopt},
        {"m", std::nullopt},
        {"5 m", std::nullopt},
        {"-5m", std::nullopt},
        {"5w", std::nullopt},
        {"", std::nullopt},
        {"99999999999d", std::nullopt},
    };
    for (const auto& test : cases) {
      CAPTURE(test.text);
      CHECK(parse_duration(test.text) == test.value);
    }
  }

  TEST_CASE("durations are written in the largest unit that divides them") {
    CHECK(to_text(90s) == "90s");
    CHECK(to_text(3600s) == "1h");
    CHECK(to_text(48h) == "2d");
    CHECK(to_text(0s) == "0s");
  }
}

}  // namespace ticket::ring
