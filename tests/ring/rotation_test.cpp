#include "ring/rotation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "support/rings.hpp"

namespace ticket::ring {

using namespace test;

namespace {

// A pool whose clock is turned; ids are not what these tests are about.
struct Pool {
  Policy policy;
  std::vector<Epoch> epochs;
  std::uint32_t last_number = 0;
  sys_seconds next;

  bool rotate(Moment now, Readiness readiness = Readiness::ready) {
    return take(plan_rotation(epochs, last_number, policy, now, readiness));
  }
  bool rotate_now(Moment now, Readiness readiness = Readiness::ready) {
    return take(plan_rotation_now(epochs, last_number, policy, now, readiness));
  }
  bool take(const Plan& plan) {
    epochs = plan.epochs;
    last_number = plan.last_number;
    next = plan.next;
    return plan.changed;
  }
  const Epoch* sealing(Moment now) const { return sealing_epoch(epochs, policy.stretch, now); }
  sys_seconds may_rotate_from(Moment now) const {
    return ring::may_rotate_from(epochs, last_number, policy, now, Readiness::ready);
  }
  // Orders a minute apart, until one would leave no next epoch. Returns how many there were.
  int rotate_often(sys_seconds& now) {
    int orders = 0;
    for (; may_rotate_from(now) == now; now += 1min, ++orders) {
      rotate_now(now);
      REQUIRE(orders < 64);
      REQUIRE(sealing(now) != nullptr);
      REQUIRE(sealing(now)->seals_from == now);
      REQUIRE(announced(now) > 0);
    }
    return orders;
  }
  std::size_t announced(Moment now) const {
    return static_cast<std::size_t>(std::ranges::count(
        epochs, EpochState::announced, [now](const Epoch& e) { return e.state(now); }));
  }
};

}  // namespace

TEST_SUITE("rotation") {
  TEST_CASE("a new pool without members seals at once and has announced publish_ahead's worth") {
    Pool pool;
    CHECK(pool.rotate(noon, Readiness::alone));

    CHECK(pool.sealing(noon)->number == 1);
    CHECK(pool.announced(noon) == 6);
    CHECK(pool.epochs.back().seals_from == noon + 6h);
  }

  TEST_CASE("nothing changes twice at the same moment") {
    Pool pool;
    pool.rotate(noon, Readiness::alone);
    CHECK_FALSE(pool.rotate(noon, Readiness::alone));
    CHECK_FALSE(pool.rotate(pool.next - 1s));
    CHECK(pool.rotate(pool.next));
  }

  TEST_CASE("promise 1: every epoch is made publish_ahead before it seals") {
    Pool pool;
    pool.rotate(noon, Readiness::alone);
    const auto first = pool.last_number;

    for (auto now = noon; now < noon + 72h; now = pool.next) {
      pool.rotate(now);
      REQUIRE(pool.sealing(now) != nullptr);
      REQUIRE(pool.next > now);
      for (const auto& epoch : pool.epochs) {
        if (epoch.number <= first) continue;
        CAPTURE(epoch.number);
        CHECK(epoch.seals_from - epoch.made == pool.policy.publish_ahead);
      }
    }
  }

  TEST_CASE("epochs follow each other without a gap, and are gone 19 h after they were made") {
    Pool pool;
    for (auto now = noon; now < noon + 48h; now += 7min) {
      pool.rotate(now, Readiness::ready);
      for (std::size_t i = 1; i < pool.epochs.size(); ++i) {
        CHECK(pool.epochs[i].number == pool.epochs[i - 1].number + 1);
        CHECK(pool.epochs[i].seals_from == pool.epochs[i - 1].seals_until);
      }
      for (const auto& epoch : pool.epochs) CHECK(now < epoch.made + 19h + 7min);
      CHECK(pool.epochs.size() <= 21);
    }
  }

  TEST_CASE("a number is never made twice, whatever the clock does") {
    Pool pool;
    std::mt19937 random(1);
    std::uint32_t highest = 0;
    sys_seconds steady = noon;
    for (int step = 0; step < 2000; ++step) {
      steady += seconds(random() % 7200);
      const auto wall = steady + seconds(static_cast<int>(random() % 1'800'000) - 900'000);
      const auto before = pool.last_number;
      if (random() % 10 == 0) {
        pool.rotate_now(Moment(steady, wall));
      } else {
        pool.rotate(Moment(steady, wall), static_cast<Readiness>(random() % 3));
      }
      CHECK(pool.last_number >= before);
      for (const auto& epoch : pool.epochs) highest = std::max(highest, epoch.number);
      CHECK(highest == pool.last_number);
      CHECK(pool.epochs.size() <= 64);
    }
  }

  TEST_CASE("after a long outage the new epoch waits a minute, or until all members have it") {
    Pool pool;
    pool.policy.stretch = 0s;
    pool.rotate(noon, Readiness::alone);
    const auto back = noon + 10h;

    pool.rotate(back, Readiness::waiting);
    CHECK(pool.sealing(back) == nullptr);
    const auto scheduled = std::ranges::find_if(
        pool.epochs, [&](const Epoch& epoch) { return epoch.seals_from > back; });
    REQUIRE(scheduled != pool.epochs.end());
    CHECK(scheduled->seals_from == back + 60s);

    CHECK_FALSE(pool.rotate(back + 1s, Readiness::waiting));
    SUBCASE("all have it") {
      CHECK(pool.rotate(back + 2s, Readiness::ready));
      CHECK(pool.sealing(back + 2s) != nullptr);
    }
    SUBCASE("some never say so") { CHECK(pool.sealing(back + 60s) != nullptr); }
  }

  TEST_CASE("rotate --now lets the next announced epoch seal, and the rest move up") {
    Pool pool;
    pool.rotate(noon, Readiness::alone);
    const auto now = noon + 30min;

    CHECK(pool.rotate_now(now));
    CHECK(pool.sealing(now)->number == 2);
    CHECK(pool.epochs[0].seals_until == now);
    CHECK(pool.epochs[1].seals_until == now + 1h);
    CHECK(pool.epochs[2].seals_from == now + 1h);
    CHECK(pool.epochs[0].state(now) == EpochState::opening);
    CHECK(pool.epochs.back().seals_from == now + 6h);
  }

  TEST_CASE("promise 1: rotate --now gives members a minute for an epoch made a moment ago") {
    Pool pool;
    pool.rotate(noon, Readiness::alone);
    pool.rotate_now(noon + 1s, Readiness::waiting);

    CHECK(pool.sealing(noon + 1s)->number == 1);
    CHECK(pool.sealing(noon + 61s)->number == 2);
  }

  TEST_CASE("orders stop before they leave a pool without a next epoch, then or later") {
    const Policy tight{15min, 12h, 3h, 0s};  // 61 epochs stand, of 64
    const Policy roomy{1h, 12h, 6h, 0s};
    const struct {
      Policy policy;
      seconds age;
      int least;  // orders that must be carried out
    } pools[] = {{tight, 0s, 10}, {tight, 30h + 7min, 10}, {roomy, 0s, 40}, {roomy, 30h, 40}};

    for (const auto& one : pools) {
      CAPTURE(one.policy.rotate_every.count());
      CAPTURE(one.age.count());
      Pool pool{one.policy};
      pool.rotate(noon, Readiness::alone);
      auto now = noon;
      for (; now < noon + one.age; now += 1min) pool.rotate(now);

      CHECK(pool.rotate_often(now) >= one.least);
      const auto until = pool.may_rotate_from(now);
      CHECK(until > now);
      CHECK(until <= now + one.policy.lifetime + one.policy.rotate_every);

      for (const auto end = now + 30h; now < end; now += 1min) {
        pool.rotate(now);
        REQUIRE(pool.sealing(now) != nullptr);
        if (now < until && until <= now + 1min) {
          auto then = pool;
          then.rotate(until);
          CHECK(then.may_rotate_from(until) == until);
          CHECK(then.rotate_now(until));
          CHECK(then.sealing(until)->seals_from == until);
        }
      }
      CHECK(pool.may_rotate_from(now) == now);
    }
  }

  TEST_CASE("an epoch is not ended when there is no room for the next") {
    Pool pool{{15min, 12h, 3h, 0s}};
    pool.rotate(noon, Readiness::alone);
    auto now = noon;
    while (pool.announced(now) > 0) pool.rotate_now(now += 1s);
    REQUIRE(pool.epochs.size() == 64);
    const auto* last = pool.sealing(now);
    REQUIRE(last != nullptr);
    const auto until = last->seals_until;

    pool.rotate_now(now + 1s);
    REQUIRE(pool.sealing(now + 1s) != nullptr);
    CHECK(pool.sealing(now + 1s)->seals_until == until);
    CHECK(pool.next == pool.epochs.front().opens_until);  // nothing can be done before
  }

  TEST_CASE("a burned or ended epoch is wiped") {
    Pool pool;
    pool.rotate(noon, Readiness::alone);
    pool.epochs[2].burned = true;

    CHECK(pool.rotate(noon + 1s));
    CHECK(std::ranges::count(pool.epochs, 3u, &Epoch::number) == 0);
    pool.rotate(noon + 13h);
    CHECK(pool.epochs.front().number > 1);
  }
}

}  // namespace ticket::ring
