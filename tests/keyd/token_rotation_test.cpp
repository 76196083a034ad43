#include <limits>
#include <random>
#include <set>

#include "token_schedule.hpp"

using namespace test;

namespace {

constexpr auto noon = Schedule::noon;
constexpr auto everybody = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_SUITE("token rotation") {
  TEST_CASE("each moment of an epoch's life") {
    struct {
      seconds after_noon;
      const char* first;   // state of epoch 1
      bool closed;         // what issues is erased
      const char* second;  // of epoch 2
      const char* when;
    } const moments[] = {
        {0s, "announced", false, "", "made"},
        {29s, "announced", false, "", "all hold it, half a minute is for their clocks"},
        {30s, "issuing", false, "", "nobody else issues"},
        {23h, "issuing", false, "", "a second too early to announce the next"},
        {23h + 31s, "issuing", false, "announced", "the next is announced an hour ahead"},
        {24h + 29s, "issuing", false, "announced", "its last second"},
        {24h + 30s, "redeeming", true, "issuing", "the next issues"},
        {48h + 29s, "redeeming", true, "issuing", "the last second of its tokens"},
        {48h + 30s, "", true, "redeeming", "gone, as all have applied that"},
    };
    for (const auto& moment : moments) {
      CAPTURE(moment.when);
      Schedule pool;
      pool.live(moment.after_noon);
      const auto state = [&](std::uint32_t wanted) {
        for (const auto& epoch : pool.epochs) {
          if (epoch.number == wanted) return std::string(epoch.state(pool.at()));
        }
        return std::string();
      };
      CHECK(state(1) == moment.first);
      CHECK(state(2) == moment.second);
      if (state(1) != "") CHECK(pool.number(1).closed == moment.closed);
    }
  }

  TEST_CASE("one epoch issues at each second, for a week") {
    for (const bool redis : {false, true}) {
      Schedule pool(redis);
      pool.live(30s);
      std::set<std::uint32_t> numbers;
      for (int minute = 0; minute < 7 * 24 * 60; ++minute) {
        const auto count = std::ranges::count_if(
            pool.epochs, [&](const TokenEpoch& epoch) { return epoch.issues(pool.at()); });
        REQUIRE(count == 1);
        numbers.insert(pool.issuing()->number);
        pool.live(60s);
      }
      CHECK(numbers.size() == 7);
    }
  }

  TEST_CASE("the order of erasure, one member behind: a minute, and no longer") {
    Schedule pool;
    pool.live(48h + 29s);
    const auto before = pool.generation;
    pool.now += 1s;
    pool.tend();

    // first what verifies, in a generation
    CHECK(pool.number(1).ended());
    CHECK(pool.number(1).blind_rsa.empty());
    CHECK(pool.number(1).ended_in == before + 1);
    // then, when it is applied, the rest
    pool.sight.applied = before;
    pool.now += 59s;
    pool.tend();
    CHECK(pool.epochs.front().number == 1);
    CHECK(pool.plan().next <= pool.now + 1s);
    auto prompt = pool;
    prompt.sight.applied = before + 1;
    prompt.tend();
    CHECK(prompt.epochs.front().number == 2);

    pool.now += 1s;
    pool.tend();
    CHECK(pool.epochs.front().number == 2);
  }

  TEST_CASE("with nobody there, nobody is waited for") {
    Schedule pool;
    pool.live(48h + 29s);
    pool.sight.applied = everybody;
    pool.now += 1s;
    pool.tend();
    pool.tend();
    CHECK(pool.epochs.front().number == 2);
  }

  TEST_CASE("promise 13: with Redis an epoch issues only once its sentinel stands") {
    Schedule pool(true);
    pool.store_lives = false;
    pool.live(3h);
    CHECK(pool.issuing() == nullptr);
    CHECK(pool.epochs.size() == 1);

    pool.store_lives = true;
    pool.settle();
    REQUIRE(pool.issuing() != nullptr);
    CHECK(pool.issuing()->number == 1);
  }

  TEST_CASE("promise 13: with a table an epoch issues only once its redeemer has it") {
    Schedule pool;
    pool.members = false;
    pool.sight.applied = everybody;
    pool.live(3h);
    CHECK(pool.issuing() == nullptr);
    const auto planned = pool.epochs.front().issues_from;

    // its table is made now, so the epoch begins later than this
    pool.sight.holds = pool.generation;
    pool.tend();
    CHECK(pool.issuing() == nullptr);
    CHECK(pool.epochs.front().issues_from == pool.now + 30s);
    CHECK(pool.epochs.front().issues_until == pool.now + 30s + 24h);
    CHECK(pool.epochs.front().issues_from > planned);
    pool.live(30s);
    CHECK(pool.issuing() != nullptr);
  }

  TEST_CASE("promise 13: a redeemer whose clock is ahead has each table before its epoch") {
    for (const auto late : {0s, 1s, 29s, 55s, 60s, 61s, 600s}) {  // until it has the first one
      CAPTURE(late.count());
      Schedule pool;
      pool.members = false;
      pool.live(late);
      const auto made = pool.now;
      pool.members = true;
      pool.live(31s);
      REQUIRE(pool.number(1).held);
      CHECK(pool.number(1).issues_from >= made + 30s);
      pool.live(60s);
      CHECK(pool.issuing() != nullptr);
      CHECK(pool.issuing()->issues_until == pool.issuing()->issues_from + 24h);
    }
  }

  TEST_CASE("promise 13: what waits is replaced, not marked again, when its record is lost") {
    for (const std::uint32_t lost : {1, 2}) {  // that which issues, that which waits
      CAPTURE(lost);
      Schedule pool(true);
      pool.live(23h + 30min);
      REQUIRE(pool.number(2).sentinel);
      pool.sight.lost = {lost};
      pool.tend();
      CHECK(pool.number(2).ended());
      CHECK(pool.number(2).blind_rsa.empty());
      CHECK(pool.number(1).ended() == (lost == 1));
      CHECK(pool.last == 3);
      CHECK_FALSE(pool.number(3).sentinel);
      CHECK(pool.number(3).issues_from == (lost == 1 ? pool.now + 5s : noon + 24h + 5s));
    }
    // also while nobody knows whether it was marked
    Schedule pool(true);
    pool.live(23h);
    pool.store_lives = false;
    pool.live(30min);
    REQUIRE_FALSE(pool.number(2).sentinel);
    pool.sight.lost = {1};
    pool.tend();
    CHECK(pool.number(2).ended());
  }

  TEST_CASE("promise 13: what waits with a sentinel is replaced when a table is to record it") {
    Schedule pool(true);
    pool.live(23h + 30min);
    pool.sight.redis = false;
    pool.tend();
    CHECK(pool.number(1).ended());
    CHECK(pool.number(2).ended());
  }

  TEST_CASE("promise 13: a lost epoch ends at once, and the next issues in five seconds") {
    for (const auto when : {seconds(3h), seconds(23h + 30min)}) {  // without, with an announced one
      CAPTURE(when.count());
      Schedule pool(true);
      pool.live(when);
      REQUIRE(pool.issuing()->number == 1);
      const auto next = pool.last + 1;
      REQUIRE(next == (when > 23h ? 3 : 2));

      pool.sight.lost = {1};
      pool.tend();

      CHECK(pool.issuing() == nullptr);
      const auto& lost = pool.number(1);
      CHECK(lost.ended());
      CHECK(lost.closed);
      CHECK(lost.blind_rsa.empty());
      CHECK(lost.redeems_until == pool.now);
      CHECK(pool.last == next);
      CHECK(pool.number(next).issues_from == pool.now + 5s);
      CHECK_FALSE(pool.number(next).sentinel);

      pool.follow();
      pool.live(4s);
      CHECK(pool.issuing() == nullptr);
      pool.live(1s);
      REQUIRE(pool.issuing() != nullptr);
      CHECK(pool.issuing()->number == next);
    }
  }

  TEST_CASE("promise 13: what is lost of an epoch that only redeems ends that one alone") {
    Schedule pool(true);
    pool.live(30h);
    REQUIRE(pool.issuing()->number == 2);
    pool.sight.lost = {1};
    pool.tend();
    CHECK(pool.number(1).ended());
    CHECK(pool.issuing()->number == 2);
  }

  TEST_CASE("a store that loses everything again and again makes no more than eight epochs") {
    Schedule pool(true);
    pool.live(1h);
    pool.members = false;  // they apply nothing more, so that what ended stays for a minute
    std::size_t most = 0;
    for (int i = 0; i < 50; ++i) {
      for (const auto& epoch : pool.epochs) pool.sight.lost.insert(epoch.number);
      pool.settle();
      pool.live(6s);
      CHECK(pool.epochs.size() <= keyd::most_token_epochs);
      most = std::max(most, pool.epochs.size());
    }
    CHECK(most == keyd::most_token_epochs);
    pool.live(2min);
    CHECK(pool.issuing() != nullptr);
  }

  TEST_CASE("another kind of record ends what began with the one before") {
    for (const bool redis : {false, true}) {
      Schedule pool(redis);
      pool.live(1h);
      REQUIRE(pool.issuing() != nullptr);
      pool.sight.redis = !redis;
      pool.tend();
      CHECK(pool.number(1).ended());
      pool.live(70s);
      REQUIRE(pool.issuing() != nullptr);
      CHECK(pool.issuing()->number == 2);
    }
  }

  TEST_CASE("by order the next epoch issues in five seconds, and the one before until then") {
    for (const bool announced : {false, true}) {
      CAPTURE(announced);
      Schedule pool(true);
      pool.live(announced ? 23h + 30min : 3h);
      pool.sight.rotate = true;
      pool.settle();
      CHECK(pool.number(1).issues_until == pool.now + 5s);
      CHECK(pool.number(2).issues_from == pool.now + 5s);
      CHECK(pool.last == 2);
      pool.live(4s);
      CHECK(pool.issuing()->number == 1);
      pool.live(1s);
      CHECK(pool.issuing()->number == 2);
      CHECK(pool.issuing()->issues_until == pool.now + 24h);
      CHECK(pool.number(1).closed);
    }
  }

  TEST_CASE("one order is one rotation, also where the schedule makes another epoch by it") {
    for (const bool redis : {false, true}) {
      CAPTURE(redis);
      Schedule pool(redis);
      pool.policy = {1h, 1h, 90min};
      pool.live(20min);
      REQUIRE(pool.last == 2);
      pool.sight.rotate = true;
      pool.live(1min);
      CHECK(pool.issuing()->number == 2);
      REQUIRE(pool.last == 3);
      pool.live(58min);
      CHECK(pool.issuing()->number == 2);
      pool.live(2min);
      CHECK(pool.issuing()->number == 3);
    }
  }

  TEST_CASE("an order whose epoch is replaced before it begins goes over to the next one") {
    Schedule pool(true);
    pool.live(3h);
    pool.store_lives = false;
    pool.sight.rotate = true;
    pool.settle();
    REQUIRE(pool.last == 2);
    pool.sight.cut = {2};  // its record moves
    pool.sight.keys = 0;   // a little later there is a key for another one
    pool.tend();
    CHECK(pool.number(2).ended());
    REQUIRE(pool.last == 2);
    pool.sight.keys = 8;
    pool.live(10min);
    CHECK(pool.last == 3);
    CHECK(pool.issuing()->number == 1);
    pool.store_lives = true;
    pool.live(6s);
    CHECK(pool.issuing()->number == 3);
    pool.live(1h);
    CHECK(pool.last == 3);
  }

  TEST_CASE("by order with a table, a new epoch begins half a minute after its redeemer has it") {
    Schedule pool;
    pool.live(3h);
    pool.members = false;
    pool.sight.rotate = true;
    pool.live(10min);
    CHECK(pool.number(2).issues_from == pool.number(1).issues_until);
    CHECK(pool.issuing()->number == 1);
    pool.members = true;
    pool.settle();
    CHECK(pool.number(2).issues_from == pool.now + 30s);
    CHECK(pool.number(1).issues_until == pool.now + 30s);
  }

  TEST_CASE("promise 10: with a table, by no clock that is put right before its table was made") {
    Schedule pool;
    pool.live(23h + 1min);
    REQUIRE(pool.number(2).held);
    const auto made = pool.number(2).made;
    pool.now -= 4min;
    pool.sight.rotate = true;
    pool.settle();
    CHECK(pool.number(2).issues_from == made + 30s);
  }

  TEST_CASE("promise 10: a clock that was ahead for a while closes an epoch, and another issues") {
    for (const bool redis : {false, true}) {
      for (const bool accepted : {false, true}) {
        CAPTURE(redis);
        CAPTURE(accepted);
        Schedule pool(redis);
        pool.live(16h);
        pool.apart = 9h;
        pool.sight.holding = true;
        pool.tend();
        REQUIRE(pool.number(1).closed);
        pool.sight.holding = false;
        pool.apart = 0s;
        if (accepted) {
          pool.now += 9h;
          for (auto& epoch : pool.epochs) epoch.issues_until += 9h, epoch.redeems_until += 9h;
        }
        pool.live(3min);
        REQUIRE(pool.issuing() != nullptr);
        CHECK(pool.issuing()->number == 2);
        CHECK(pool.number(1).issues_until <= pool.now);  // as servers are told
      }
    }
  }

  TEST_CASE("an epoch is made when there is a key for it, and not before") {
    Schedule pool;
    pool.sight.keys = 0;
    const auto none = pool.plan();
    CHECK(none.epochs.empty());
    CHECK(none.wants_keys);
    CHECK_FALSE(none.changed);
    pool.sight.keys = 1;
    const auto one = pool.plan();
    CHECK(one.epochs.size() == 1);
    CHECK_FALSE(one.wants_keys);
  }

  TEST_CASE("promise 10: while rotation holds nothing is made or told, and what is over goes") {
    Schedule pool;
    pool.live(23h + 30min);
    const auto before = pool.epochs;
    pool.sight.holding = true;
    pool.apart = 1h;  // past what issues, by the later clock
    CHECK(pool.plan().epochs.at(0).closed);
    CHECK_FALSE(pool.plan().epochs.at(0).ended());
    CHECK_FALSE(pool.plan().epochs.at(1).closed);
    pool.apart = 9 * 24h;  // past all that there is
    const auto plan = pool.plan();
    CHECK_FALSE(plan.publish);
    CHECK(plan.changed);
    CHECK(plan.epochs.size() == before.size());
    for (const auto& epoch : plan.epochs) {
      CHECK(epoch.ended());
      CHECK(epoch.closed);
      CHECK_FALSE(epoch.issues(pool.at()));
    }
    CHECK(plan.last_number == pool.last);

    // told when it no longer holds
    pool.epochs = plan.epochs;
    pool.apart = 0s;
    pool.sight.holding = false;
    CHECK(pool.plan().publish);
  }

  TEST_CASE("promise 10: set back, the clock lets nothing issue again") {
    Schedule pool;
    pool.live(24h + 40s);
    CHECK(pool.number(1).closed);
    pool.now -= 1h;
    pool.apart = 1h;
    pool.sight.holding = true;
    pool.tend();
    CHECK(pool.number(1).closed);
    CHECK_FALSE(pool.number(1).issues(pool.at()));
  }

  TEST_CASE("promise 10: what began by a clock that was ahead and is put right stays in order") {
    for (const bool redis : {false, true}) {
      for (const bool waiting : {false, true}) {  // another one, announced while it begins
        CAPTURE(redis);
        CAPTURE(waiting);
        Schedule pool(redis);
        if (waiting) pool.policy = {1h, 1h, 2h};
        pool.live(waiting ? 61min : 25h);
        REQUIRE(pool.issuing()->number == 2);
        const auto began = pool.number(2).issues_from;
        pool.now = began - 2min;
        pool.sight.rotate = !waiting;
        pool.settle();

        CHECK(pool.number(2).issues_from == began);
        CHECK(pool.number(2).issues_until == began);
        CHECK(pool.number(2).redeems_until > began);
        CHECK(pool.number(3).issues_from < began);
        pool.live(61s);
        REQUIRE(pool.issuing() != nullptr);
        CHECK(pool.issuing()->number == 3);
        pool.live(60s);
        CHECK(pool.issuing()->number == 3);
      }
    }
  }

  TEST_CASE(
      "promise 10: what an older state has out of order is put in order, and issues no more") {
    Schedule pool;
    pool.live(1h);
    pool.epochs.front().issues_until = pool.now - 2min;
    pool.epochs.front().issues_from = pool.now + 2min;
    const auto plan = pool.plan();
    CHECK(plan.publish);
    CHECK(plan.epochs.front().issues_until == pool.now + 2min);
    CHECK_FALSE(plan.epochs.front().ended());
    pool.live(10min);
    CHECK(pool.number(1).closed);
    REQUIRE(pool.issuing() != nullptr);
    CHECK(pool.issuing()->number == 2);

    // also what ended so
    pool.epochs.front().issues_from = pool.epochs.front().issues_until + 2min;
    pool.sight.cut = {1};
    pool.members = false;
    pool.tend();
    REQUIRE(pool.number(1).ended());
    CHECK(pool.number(1).issues_from <= pool.number(1).issues_until);
    CHECK(pool.number(1).issues_until <= pool.number(1).redeems_until);
  }

  TEST_CASE("after an outage longer than all keys it goes on, with numbers never given") {
    Schedule pool(true);
    pool.live(1h);
    pool.now += 30 * 24h;
    pool.live(70s);
    REQUIRE(pool.issuing() != nullptr);
    CHECK(pool.issuing()->number == pool.last);
    CHECK(pool.last > 1);
    CHECK(pool.epochs.size() == 1);
  }

  TEST_CASE("promise 9: whatever happens, numbers grow and times are in order") {
    std::mt19937 random(7);
    const auto chance = [&](int of) { return random() % static_cast<unsigned>(of) == 0; };
    for (int round = 0; round < 60; ++round) {
      Schedule pool(round % 2 == 0);
      pool.policy = {seconds(600 + random() % 7200), seconds(random() % 7200),
                     seconds(120 + random() % 600)};
      std::uint32_t highest = 0;
      std::set<std::uint32_t> gone;
      for (int step = 0; step < 300; ++step) {
        const auto before = pool.epochs;
        if (chance(4)) pool.members = !pool.members;
        if (chance(6)) pool.store_lives = !pool.store_lives;
        pool.sight.holding = chance(8);
        pool.apart = seconds(pool.sight.holding ? random() % 9000 : 0);
        pool.sight.keys = random() % 3;
        pool.sight.rotate = chance(20);
        if (chance(10)) pool.now -= seconds(random() % 300);  // and keyd starts again
        for (const auto& epoch : pool.epochs) {
          if (chance(30)) pool.sight.lost.insert(epoch.number);
        }
        pool.follow();
        pool.tend();

        std::uint32_t number = 0;
        REQUIRE(pool.epochs.size() <= keyd::most_token_epochs);
        for (const auto& epoch : pool.epochs) {
          REQUIRE(epoch.number > number);
          REQUIRE_FALSE(gone.contains(epoch.number));
          REQUIRE(epoch.issues_from <= epoch.issues_until);
          REQUIRE(epoch.issues_until <= epoch.redeems_until);
          if (epoch.begun) REQUIRE(epoch.announced_in != 0);
          if (epoch.closed) REQUIRE_FALSE(epoch.issues(pool.at()));
          number = epoch.number;
        }
        for (const auto& epoch : before) {
          const auto still = std::ranges::find(pool.epochs, epoch.number, &TokenEpoch::number);
          if (still == pool.epochs.end()) gone.insert(epoch.number);
          if (still == pool.epochs.end()) continue;
          // nothing that is over comes back
          REQUIRE((!epoch.closed || still->closed));
          REQUIRE((!epoch.ended() || still->ended()));
          REQUIRE((!epoch.begun || still->begun));
        }
        REQUIRE(pool.last >= highest);
        REQUIRE(number <= pool.last);
        highest = pool.last;
        REQUIRE(pool.next > pool.now);
        pool.now += seconds(1 + random() % 400);
      }
    }
  }
}
