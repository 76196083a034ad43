#include "time_text.hpp"

#include <doctest/doctest.h>

using namespace ticketctl;
using namespace std::chrono_literals;
using ticket::sys_seconds;

TEST_SUITE("times as typed") {
  const sys_seconds noon{1'799'928'000s};  // 2027-01-14, 12:00 UTC

  TEST_CASE("what the rule allows is understood") {
    CHECK(parse_time("now", noon) == noon);
    CHECK(parse_time("2h ago", noon) == noon - 2h);
    CHECK(parse_time("-90s", noon) == noon - 90s);
    CHECK(parse_time("7d ago", noon) == noon - 7 * 24h);
    CHECK(parse_time("2027-01-14T12:00:00Z", noon) == noon);
    CHECK(parse_time("2027-01-14 12:00", noon) == noon);
    CHECK(parse_time("@1799928000", noon) == noon);
  }

  TEST_CASE("promise 15: anything else is not") {
    for (const char* text : {"",
                             "-",
                             "ago",
                             " ago",
                             "2 h ago",
                             "tomorrow",
                             "2027-01-14",
                             "2027-13-14T12:00:00Z",
                             "2027-02-30T12:00:00Z",
                             "2027-01-14T24:00:00Z",
                             "2027-01-14T12:00:00+01:00",
                             "2027-01-14T12:00:00ZZ",
                             "2027-1-14T12:00",
                             "@",
                             "@-1",
                             "@1e9",
                             "@99999999999999",
                             "-99999d",
                             "2027-01-14T12:-1",
                             "NOW"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_time(text, noon).has_value());
    }
  }
}
