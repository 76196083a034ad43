// Token keys under a clock that is set back while keyd is down, or accepted: whatever
// becomes of the tokens, members get their ticket keys.
#include "issuer_fixture.hpp"

using namespace test;
using keyd::Order;

namespace {

// What the member makes of the newest bundle.
bool opens(const IssuingHouse& house) { return open_last(house, house.web1).has_value(); }

}  // namespace

TEST_SUITE("issuer's clock") {
  TEST_CASE("promise 10: a clock put right by minutes and a restart leave bundles that open") {
    for (const bool redis : {true, false}) {
      for (const bool announced : {true, false}) {  // the epoch after that which began
        for (const bool ordered : {true, false}) {
          CAPTURE(redis);
          CAPTURE(announced);
          CAPTURE(ordered);
          auto config = tokens_config(redis);
          if (announced) config.issue_for = config.redeem_for = 1h, config.publish_ahead = 2h;
          IssuingHouse house(config);
          house.run(announced ? 61min : 24h + 1min);
          REQUIRE(house.issuing() == 2);
          house.now = house.state().epochs.at(1).issues_from - 2min;
          house.begin_again();
          house.follow();
          if (!announced)
            CHECK(house.alarm("issuing").find("the clock was set back") != std::string::npos);
          if (ordered) CHECK(house.order(rotate_issuer()).at("ok") == true);
          for (int i = 0; i < 20; ++i) {
            house.run(10s);
            REQUIRE(opens(house));
          }
          CHECK(house.issuing() == (announced || ordered ? 3 : 2));
          CHECK(house.ask() == 200);
        }
      }
    }
  }

  TEST_CASE("promise 10: a type that is added then leaves bundles that open, too") {
    IssuingHouse house(tokens_config(true));
    house.run(24h + 1min);
    house.now = house.state().epochs.at(1).issues_from - 2min;
    house.config.ristretto = true;
    house.begin_again();
    house.run(10s);
    CHECK(opens(house));
    CHECK(house.ask(TokenType::ristretto) == 200);
  }

  TEST_CASE("promise 10: a clock behind the beginning of a token epoch holds, until accepted") {
    IssuingHouse house(tokens_config(true));
    house.run(25h);
    // no ticket key was made since
    const auto began = house.state().epochs.at(1).issues_from;
    auto state = house.store.state();
    for (auto& epoch : state.pool("web")->epochs) epoch.made = began - 1h;
    house.now = began - 10min;
    house.authority = house.begin(std::move(state));
    house.authority->configure(house.pools(), house.now);
    house.tend();
    CHECK(house.alarm("clock").find("token epoch 2 began") != std::string::npos);

    house.order({.kind = Order::Kind::accept_clock});
    CHECK(house.alarm("clock").empty());
    house.run(1s);
    CHECK(house.issuing() == 2);
    CHECK(house.ask() == 200);
    CHECK(opens(house));
  }

  TEST_CASE("promise 10: an accepted step back with a table begins another epoch, in Redis none") {
    // a table of before would look younger than its epoch, and refuse all that is issued
    for (const bool redis : {false, true}) {
      for (const auto back : {seconds(20min), seconds(30s)}) {
        CAPTURE(redis);
        CAPTURE(back.count());
        IssuingHouse house(tokens_config(redis));
        house.run(23h + 30min);
        REQUIRE(house.state().epochs.size() == 2);
        house.now -= back;
        house.order({.kind = Order::Kind::accept_clock, .shift = -back});
        house.run(31s);
        const bool lost = !redis && back > 30s;
        CHECK(house.issuing() == (lost ? 3 : 1));
        CHECK(house.ask() == 200);
        CHECK(opens(house));
        if (lost) CHECK(house.state().epochs.back().issues_from >= house.now - 1s);
      }
    }
  }

  TEST_CASE(
      "promise 13: an accepted step ahead makes no table that was lost older than its epoch") {
    IssuingHouse house(tokens_config(false));
    house.run(1h);
    const auto before = house.state().epochs.at(0);
    house.now += 1h;
    house.order({.kind = Order::Kind::accept_clock, .shift = 1h});
    house.run(1s);
    const auto after = house.state().epochs.at(0);
    CHECK(after.issues_from == before.issues_from);
    CHECK(after.issues_until == before.issues_until + 1h);
    CHECK(after.redeems_until == before.redeems_until + 1h);
    CHECK(house.issuing() == 1);
    CHECK(house.ask() == 200);
    CHECK(opens(house));
  }

  TEST_CASE("promise 10: no clock is accepted by which keys were made before there was time") {
    IssuingHouse house(tokens_config(true));
    house.run(25h);  // several keys are in use
    const auto refused = [&](sys_seconds time) {
      return house.authority->clock_refusal(time - house.now, time);
    };
    CHECK(refused(sys_seconds(300s)).find("1970-01-01 00:05:00") != std::string::npos);
    CHECK(refused(house.now - 9 * 24h).empty());
    CHECK(refused(house.now + 9 * 24h).empty());
    CHECK(refused(sys_seconds(30 * 24h)).empty());
  }

  TEST_CASE("promise 10: what a clock that was ahead wiped while the disk was full is replaced") {
    for (const bool redis : {true, false}) {
      for (const bool redeems : {true, false}) {       // by the clock that is ahead
        for (const bool disk_first : {true, false}) {  // or the clock is put right before it is
          CAPTURE(redis);
          CAPTURE(redeems);
          CAPTURE(disk_first);
          IssuingHouse house(tokens_config(redis, true));
          house.run(1h);
          const auto request = house.withdrawal().request();
          house.store.problem = "No space left on device";
          house.authority->tend(Moment(house.now, house.now + (redeems ? 25h : 72h)));
          REQUIRE(stored(house, 1) == "LRB");  // the disk still has them
          house.now += 10s;
          if (!disk_first) {
            house.tend();
            CHECK(house.ask(request).status == 503);
            CHECK_FALSE(house.alarm("issuing").empty());
          }

          house.store.problem.clear();
          house.run(70s);

          CHECK(house.issuing() == 2);
          CHECK(house.ask() == 200);
          CHECK(house.ask(TokenType::ristretto) == 200);
          CHECK(house.alarm("issuing").empty());
          CHECK(opens(house));
          CHECK(stored(house, 1).find_first_of(redeems ? "B" : "RB") == std::string::npos);
          if (redeems || !disk_first) CHECK(house.tells("token epoch closed"));
          CHECK(chained(house.audit.lines));
        }
      }
    }
  }

  TEST_CASE("token epochs that make no sense keep no ticket key from members") {
    for (const bool out_of_order : {true, false}) {
      CAPTURE(out_of_order);
      IssuingHouse house(tokens_config(true));
      house.run(1h);
      auto state = house.store.state();
      auto& epoch = state.pool("web")->tokens.epochs.at(0);
      if (out_of_order) epoch.issues_until = epoch.issues_from - 1s;
      if (!out_of_order) epoch.id = {};
      house.authority = house.begin(std::move(state));
      house.authority->configure(house.pools(), house.now);
      house.tend();
      REQUIRE(opens(house));
      if (out_of_order) continue;  // it was put in order
      CHECK(house.block().size() == 0);
      CHECK(house.alarm("issuing").find("--burn") != std::string::npos);

      auto burn = rotate_issuer();
      burn.burn_tokens = true;
      house.order(burn);
      house.run(10s);
      CHECK(opens(house));
      CHECK(house.issuing() == 2);
      CHECK(house.alarm("issuing").empty());
    }
  }
}
