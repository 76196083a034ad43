#include "ring/epoch.hpp"

#include <doctest/doctest.h>

#include "support/rings.hpp"

namespace ticket::ring {

using namespace test;

TEST_SUITE("epoch") {
  TEST_CASE("each moment of an epoch's life") {
    struct {
      seconds after_noon;
      EpochState state;
    } const moments[] = {
        {-1s, EpochState::announced},    {0s, EpochState::sealing},
        {1h - 1s, EpochState::sealing},  {1h, EpochState::opening},
        {13h - 1s, EpochState::opening}, {13h, EpochState::wiped},
    };
    for (const auto& moment : moments) {
      CAPTURE(moment.after_noon.count());
      CHECK(epoch(1, noon).state(noon + moment.after_noon) == moment.state);
    }
  }

  TEST_CASE("promise 10: a wall clock set ahead wipes, one set back revives nothing") {
    const auto one = epoch(1, noon);
    CHECK(one.state(Moment(noon, noon + 13h)) == EpochState::wiped);
    CHECK(one.state(Moment(noon + 13h, noon)) == EpochState::wiped);
    CHECK(one.state(Moment(noon, noon - 9 * 24h)) == EpochState::sealing);
  }

  TEST_CASE("the newest begun epoch seals") {
    const auto epochs = hourly(1, 3);
    CHECK(sealing_epoch(epochs, 0s, noon - 1s) == nullptr);
    CHECK(sealing_epoch(epochs, 0s, noon)->number == 1);
    CHECK(sealing_epoch(epochs, 0s, noon + 1h)->number == 2);
    CHECK(sealing_epoch(epochs, 0s, noon + 3h - 1s)->number == 3);
    CHECK(sealing_epoch(epochs, 0s, noon + 3h) == nullptr);
  }

  TEST_CASE("the last epoch seals on for its stretch, but never past opens_until") {
    const auto epochs = hourly(1, 2);
    CHECK(sealing_epoch(epochs, 3h, noon + 5h - 1s)->number == 2);
    CHECK(sealing_epoch(epochs, 3h, noon + 5h) == nullptr);
    CHECK(sealing_epoch(epochs, 100h, noon + 14h - 1s)->number == 2);
    CHECK(sealing_epoch(epochs, 100h, noon + 14h) == nullptr);
  }

  TEST_CASE("a burned epoch never seals") {
    auto epochs = hourly(1, 2);
    epochs[1].burned = true;
    CHECK(sealing_epoch(epochs, 3h, noon + 1h)->number == 1);
  }
}

}  // namespace ticket::ring
