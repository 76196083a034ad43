#include "agent_plan.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "agent_backoff.hpp"

using namespace keyd;
using namespace std::chrono_literals;
using ticket::sys_seconds;

namespace {

constexpr sys_seconds noon{ticket::seconds(1'790'000'000)};
constexpr auto largest = std::numeric_limits<std::uint32_t>::max();

}  // namespace

TEST_SUITE("agent plan") {
  TEST_CASE("what comes next from where one stands") {
    const auto wait = [](ticket::seconds wait) { return AskBundle{7, 7, wait}; };
    const struct {
      const char* where;
      Standing standing;
      Step next;
    } rows[] = {
        {"nothing yet", {.must_enrol = true}, AskEnrol{}},
        {"nothing yet, a bundle in hand", {.must_enrol = true, .bundle_in_hand = true}, AskEnrol{}},
        {"enrolled", {.must_fetch = true}, AskBundle{}},
        {"enrolled long ago, no bundle yet",
         {.must_fetch = true, .renew_at = noon - 1h},
         AskBundle{}},
        {"a bundle without its wrap", {.must_fetch = true, .bundle_in_hand = true}, AskWrap{}},
        {"all is well", {.applied = 7, .renew_at = noon + 1h}, wait(60s)},
        {"soon to renew", {.applied = 7, .renew_at = noon + 10s}, wait(10s)},
        {"to renew in a second", {.applied = 7, .renew_at = noon + 1s}, wait(1s)},
        {"to renew", {.applied = 7, .renew_at = noon}, AskEnrol{}},
        {"a bundle came as the renewal is due",
         {.bundle_in_hand = true, .applied = 7, .renew_at = noon},
         AskWrap{}},
        {"renewed, not yet opened",
         {.must_fetch = true, .applied = 7, .renew_at = noon},
         AskBundle{0, 7, 0s}},
    };
    for (const auto& row : rows) {
      CAPTURE(row.where);
      CHECK(plan(row.standing, noon) == row.next);
    }
  }

  TEST_CASE("the back-off doubles from 0.2 s to 30 s, half of it random") {
    Backoff least, most;
    const int expected[] = {200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000};
    for (const auto milliseconds : expected) {
      CHECK(least.next(0).count() == milliseconds);
      const auto with_jitter = most.next(largest).count();
      CHECK(with_jitter >= milliseconds * 2 - 1);
      CHECK(with_jitter <= 30'000);
    }
  }

  TEST_CASE("the back-off keeps to a caller's limit") {
    Backoff backoff;
    for (int i = 0; i < 12; ++i) CHECK(backoff.next(largest, 1s) <= 1s);
    CHECK(backoff.next(0) == 15s);
  }

  TEST_CASE("the back-off begins anew once something worked") {
    Backoff backoff;
    for (int i = 0; i < 10; ++i) backoff.next(0);
    backoff.reset();
    CHECK(backoff.next(0) == 200ms);
  }
}
