#include "budget.hpp"

#include <doctest/doctest.h>

using keyd::Budget;
using ticket::sys_seconds;
using namespace std::chrono_literals;

namespace {

constexpr sys_seconds noon{1'790'000'000s};
constexpr Budget::Limits ten_an_hour{10, 1h};

}  // namespace

TEST_SUITE("budget") {
  TEST_CASE("a client has its tokens in a window, and then waits for the next") {
    Budget budget(ten_an_hour);
    CHECK(budget.take("a", 6, noon));
    CHECK(budget.take("a", 4, noon + 10min));

    const auto over = budget.take("a", 1, noon + 20min);
    REQUIRE_FALSE(over);
    CHECK(over.error().why == Budget::Why::spent);
    CHECK(over.error().retry_after == 40min);

    CHECK_FALSE(budget.take("a", 1, noon + 1h - 1s));
    CHECK(budget.take("a", 10, noon + 1h));
  }

  TEST_CASE("a batch is had whole or not at all") {
    Budget budget(ten_an_hour);
    REQUIRE(budget.take("a", 8, noon));
    CHECK_FALSE(budget.take("a", 3, noon));
    CHECK(budget.take("a", 2, noon));
  }

  TEST_CASE("more than any window has is told apart") {
    Budget budget(ten_an_hour);
    const auto over = budget.take("a", 11, noon);
    REQUIRE_FALSE(over);
    CHECK(over.error().why == Budget::Why::never);
    CHECK(over.error().retry_after == 1h);
    CHECK_FALSE(budget.take("a", UINT64_MAX, noon));
    CHECK(budget.take("a", 10, noon));
  }

  TEST_CASE("clients do not pay for each other") {
    Budget budget(ten_an_hour);
    REQUIRE(budget.take("a", 10, noon));
    CHECK(budget.take("b", 10, noon));
  }

  TEST_CASE("what is given back can be had again") {
    Budget budget(ten_an_hour);
    const auto taken = budget.take("a", 10, noon);
    REQUIRE(taken);
    budget.give_back(*taken);
    CHECK(budget.take("a", 10, noon));
  }

  TEST_CASE("what is given back late makes no later window larger") {
    Budget budget(ten_an_hour);
    const auto taken = budget.take("a", 10, noon);
    REQUIRE(taken);
    REQUIRE(budget.take("a", 10, noon + 1h));

    budget.give_back(*taken);
    CHECK_FALSE(budget.take("a", 1, noon + 1h));

    // nor does it bring a forgotten client back
    REQUIRE(budget.take("b", 1, noon + 3h));
    budget.give_back(*taken);
    CHECK(budget.clients() == 1);
  }

  TEST_CASE("for one client too many there is no place until a window ends") {
    Budget budget(ten_an_hour);
    for (std::size_t i = 0; i < Budget::most_clients; ++i) {
      REQUIRE(budget.take(std::to_string(i), 10, noon));
    }
    const auto over = budget.take("one more", 1, noon + 15min);
    REQUIRE_FALSE(over);
    CHECK(over.error().why == Budget::Why::crowded);
    CHECK(over.error().retry_after == 45min);
    CHECK(budget.clients() == Budget::most_clients);
    CHECK_FALSE(budget.take("0", 1, noon + 15min));  // nobody was forgotten for it

    CHECK(budget.take("one more", 1, noon + 1h));
    CHECK(budget.clients() == 1);
  }

  TEST_CASE("a smaller budget holds at once, and a larger one too") {
    Budget budget(ten_an_hour);
    REQUIRE(budget.take("a", 8, noon));

    budget.limit({5, 1h});
    CHECK_FALSE(budget.take("a", 1, noon));
    budget.limit({9, 1h});
    CHECK(budget.take("a", 1, noon));
    CHECK_FALSE(budget.take("a", 1, noon));
    budget.limit({10, 30min});
    CHECK(budget.take("a", 10, noon + 30min));
  }

  TEST_CASE("a clock that goes back opens no window") {
    Budget budget(ten_an_hour);
    REQUIRE(budget.take("a", 10, noon));
    const auto over = budget.take("a", 1, noon - 1h);
    REQUIRE_FALSE(over);
    CHECK(over.error().retry_after == 2h);
  }
}
