// Token epochs and the record of what was spent of them: sentinels and tables, their loss,
// their move to another place.
#include "issuer_fixture.hpp"

using namespace test;

TEST_SUITE("issuer's records") {
  TEST_CASE("promise 13: a sentinel is asked for before its epoch issues, until it stands") {
    IssuingHouse house(tokens_config(true));
    house.store_lives = false;
    house.run(2min);
    CHECK(house.issuing() == 0);
    const auto& asked = house.said.sentinels;
    CHECK(asked.size() >= 20);
    CHECK(asked.size() <= 30);
    const auto epoch = house.state().epochs.at(0);
    CHECK(asked.back().pool == "web");
    CHECK(asked.back().epoch == hex(epoch.id));
    CHECK(asked.back().value == hex(epoch.sentinel_value));
    CHECK(asked.back().make);
    CHECK(asked.back().redeems_until == epoch.redeems_until.time_since_epoch().count());
    house.authority->sentinel_made({"web", asked.back().epoch, "connection refused"}, house.now);
    CHECK(house.alarm("issuing").find("connection refused") != std::string::npos);
    house.run(10s);
    CHECK(house.issuing() == 0);

    house.store_lives = true;
    house.follow();
    CHECK(house.issuing() == 1);
    CHECK(house.alarm("issuing").empty());
    CHECK(house.issuer_pool().at("epochs").at(0).at("sentinel") == true);
    const auto count = asked.size();
    house.run(1h);
    CHECK(asked.size() == count);
    // a new front watches over it, and may not make it again
    house.begin_again();
    house.tend();
    REQUIRE(asked.size() == count + 1);
    CHECK_FALSE(asked.back().make);
    house.run(1h);
    CHECK(asked.size() == count + 1);
    // unless it could not: it is asked again
    house.authority->sentinel_made({"web", asked.back().epoch, "no such pool"}, house.now);
    house.tend();
    CHECK(asked.size() == count + 2);
    CHECK_FALSE(asked.back().make);
  }

  TEST_CASE("promise 13: a sentinel that stood is never made again, whatever the clock says") {
    struct {
      seconds at, clock;  // keyd dies then; how far its clock is off when it starts again
      const char* what;
    } const restarts[] = {
        {1h, 0s, "an epoch issues"},
        {1h, -2min, "the clock is behind"},
        {1h, -2h, "it says that the epoch has yet to begin"},
        {1h, 400 * 24h, "it says that all is over"},
        {23h + 30min, 0s, "another one is announced"},
        {23h + 30min, -2h, "and made in the future"},
        {30h, -12h, "one redeems that seems to issue"},
    };
    for (const auto& restart : restarts) {
      CAPTURE(restart.what);
      IssuingHouse house(tokens_config(true));
      house.run(restart.at);
      std::set<std::string> stood;
      for (const auto& epoch : house.state().epochs) stood.insert(hex(epoch.id));
      REQUIRE_FALSE(stood.empty());
      const auto before = house.said.sentinels.size();

      house.now += restart.clock;
      house.begin_again();
      house.store_lives = false;
      house.run(30s);

      std::set<std::string> watched;
      for (auto i = before; i < house.said.sentinels.size(); ++i) {
        const auto& asked = house.said.sentinels[i];
        if (!stood.contains(asked.epoch)) continue;
        CHECK_FALSE(asked.make);
        watched.insert(asked.epoch);
      }
      if (restart.clock <= 0s) CHECK(watched == stood);
    }
  }

  TEST_CASE("promise 13: a sentinel is made of no epoch that an older state takes for new") {
    IssuingHouse house(tokens_config(true));
    house.run(23h);
    house.store_lives = false;
    house.run(30min);  // epoch 2 has no sentinel yet
    const auto old = *house.store.blob;
    house.store_lives = true;
    house.run(1h);
    REQUIRE(house.issuing() == 2);
    const auto second = hex(house.state().epochs.at(1).id);
    house.store.blob = old;
    auto state = house.store.state();
    keyd::go_on_from(state, state.counter + 9, house.now);
    house.authority = house.begin(std::move(state));
    house.store.problem = "No space left on device";
    const auto before = house.said.sentinels.size();
    house.authority->configure(house.pools(), house.now);
    house.run(30s);
    for (auto i = before; i < house.said.sentinels.size(); ++i) {
      CHECK_FALSE((house.said.sentinels[i].epoch == second && house.said.sentinels[i].make));
    }
  }

  TEST_CASE("promise 13: a lost record ends its epoch at once, for good") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    const auto withdrawal = house.withdrawal();
    const auto answer = house.ask(withdrawal.request());
    const auto unspent = withdrawal.finish(*from_base64url(answer.body));
    REQUIRE(Redeeming(house).takes(unspent->front(), house.now));
    const auto id = house.said.sentinels.back().epoch;

    house.authority->record_lost({"web", id, "the run id changed"}, house.now);
    // no second goes by before nothing is issued
    CHECK(house.ask(withdrawal.request()).status == 503);
    house.follow();

    CHECK_FALSE(Redeeming(house).takes(unspent->front(), house.now));
    CHECK(stored(house, 1) != "LB");
    CHECK(house.issuer_pool().at("records_lost") == 1);
    CHECK(house.tells("token epoch ended"));
    house.run(5s);
    CHECK(house.issuing() == 2);
    CHECK(house.ask() == 200);
    CHECK_FALSE(Redeeming(house).takes(unspent->front(), house.now));
    // told again, or of what there is not
    house.authority->record_lost({"web", id, "again"}, house.now);
    house.authority->record_lost({"web", "00", "nothing"}, house.now);
    house.authority->record_lost({"mail", id, "nothing"}, house.now);
    house.authority->sentinel_made({"mail", id, {}}, house.now);
    house.run(1min);
    CHECK(house.issuing() == 2);
    house.begin_again();
    house.run(5s);
    CHECK(house.issuing() == 2);
  }

  TEST_CASE("promise 13: a loss that cannot be stored is not forgotten") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    house.store.problem = "No space left on device";
    house.authority->record_lost({"web", house.said.sentinels.back().epoch, "gone"}, house.now);
    house.run(30s);
    CHECK(house.issuing() == 1);  // as stored; yet
    CHECK(house.ask(house.withdrawal().request()).status == 503);
    CHECK_FALSE(house.alarm("issuing").empty());
    house.store.problem.clear();
    house.run(15s);
    CHECK(house.issuing() == 2);
  }

  TEST_CASE("promise 13: of an older copy of the state, what may have begun since ends") {
    IssuingHouse house(tokens_config(true));
    house.run(23h + 30min);
    const auto old = *house.store.blob;
    house.run(1h);
    REQUIRE(house.issuing() == 2);
    const auto newest = house.store.state().counter;
    house.store.blob = old;
    auto state = house.store.state();
    keyd::go_on_from(state, newest, house.now);
    house.authority = house.begin(std::move(state));
    house.authority->configure(house.pools(), house.now);
    house.run(10s);

    const auto tokens = house.state();
    CHECK((find(tokens, 2) == nullptr || find(tokens, 2)->ended()));
    CHECK(house.issuing() > 2 + 8);  // nor is a number given again
  }

  TEST_CASE("the front is told once of an epoch that has ended, and watches it no more") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    const auto id = hex(house.state().epochs.at(0).id);
    const auto over = [&] {
      return std::ranges::count_if(house.said.sentinels, [&](const keyd::MakeSentinel& asked) {
        return asked.over && asked.epoch == id && !asked.make;
      });
    };
    house.run(46h);
    CHECK(over() == 0);
    house.run(2h);
    CHECK(stored(house, 1) == "-");
    CHECK(over() == 1);
    house.run(24h);
    CHECK(over() == 1);
  }

  TEST_CASE("no sentinel is asked for of an epoch that has ended") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    const auto id = hex(house.state().epochs.at(0).id);
    house.member_lives = false;  // so that it still stands
    house.order(burn_tokens());
    const auto asked = house.said.sentinels.size();
    house.reload();
    REQUIRE(stored(house, 1) == "L");
    for (auto i = asked; i < house.said.sentinels.size(); ++i) {
      const auto& sentinel = house.said.sentinels[i];
      CHECK((sentinel.over || sentinel.epoch != id));
    }
  }

  TEST_CASE("the front is told once that an epoch is over that a configuration ends") {
    IssuingHouse house(tokens_config(true));
    house.run(23h + 30min);
    REQUIRE(house.state().epochs.size() == 2);
    const auto id = hex(house.state().epochs.at(1).id);
    house.member_lives = false;     // so that it still stands
    house.config.ristretto = true;  // which the one that waits lacks
    house.reload();
    house.run(5min);
    CHECK(std::ranges::count_if(house.said.sentinels, [&](const auto& sentinel) {
            return sentinel.over && sentinel.epoch == id;
          }) == 1);
  }

  TEST_CASE("promise 13: tokens that another member recorded are taken nowhere else") {
    IssuingHouse house(tokens_config(false));
    const Server web2(house.ca, "web2", "ticket:member:web:web2");
    house.run(23h + 30min);
    REQUIRE(house.enrol(web2).status == 200);
    const auto before = house.state();
    house.config.redeemer = "web2";
    house.reload();
    const auto tokens = house.state();
    // nor are those that were announced: web1 has a table for them, too
    for (const auto& epoch : before.epochs) {
      CHECK((find(tokens, epoch.number) == nullptr || find(tokens, epoch.number)->ended()));
    }
    house.run(2min);
    CHECK(house.issuing() == 0);  // nobody has heard of web2
    CHECK(house.alarm("issuing").find("web2") != std::string::npos);
    const auto bytes = house.block();
    CHECK(wire::parse_token_block(bytes.expose())->redeemer == 2);

    house.authority->seen({{"web", "web2", house.last().generation, "192.0.2.2"}}, house.now);
    house.run(31s);
    CHECK(house.issuing() == 3);
    const auto after = house.state();
    for (const auto& epoch : before.epochs) {
      CHECK(find(after, 3)->id != epoch.id);
      CHECK(find(after, 3)->context != epoch.context);
      CHECK(find(after, 3)->blind_rsa != epoch.blind_rsa);
    }
  }

  TEST_CASE("promise 13: of a record that moves nothing that was announced is taken along") {
    const keyd::Address there{"127.0.0.1", "6380"};
    struct {
      bool redis_before, redis_after;
      const char* what;
    } const moves[] = {{true, true, "another Redis"},
                       {true, false, "from Redis to a table"},
                       {false, true, "from a table to Redis"}};
    for (const auto& move : moves) {
      for (const bool by_restart : {false, true}) {
        CAPTURE(move.what);
        CAPTURE(by_restart);
        IssuingHouse house(tokens_config(move.redis_before));
        house.run(23h + 30min);
        const auto before = house.state();
        REQUIRE(before.epochs.size() == 2);
        const auto asked = house.said.sentinels.size();

        house.config = tokens_config(move.redis_after);
        if (move.redis_after) house.config.redis = there;
        by_restart ? house.begin_again() : house.reload();
        house.follow();

        const auto after = house.state();
        CHECK((find(after, 2) == nullptr || find(after, 2)->ended()));
        const auto* next = find(after, 3);
        REQUIRE(next != nullptr);
        CHECK(next->id != before.epochs[1].id);
        CHECK(next->context != before.epochs[1].context);
        CHECK(next->blind_rsa != before.epochs[1].blind_rsa);
        for (auto i = asked; i < house.said.sentinels.size(); ++i) {
          const auto& one = house.said.sentinels[i];
          CHECK((one.epoch == hex(next->id)) == one.make);
        }
        // what began is looked for where it is now; that is the same Redis, perhaps
        const bool began_goes_on = move.redis_before && move.redis_after;
        CHECK((house.issuing() == 1) == began_goes_on);
        house.run(31min);
        CHECK(house.issuing() == 3);
      }
    }
  }

  TEST_CASE("promise 13: a Redis that came back with its file costs seconds, not the epoch's day") {
    IssuingHouse house(tokens_config(true));
    house.run(23h + 30min);
    const auto before = house.state();
    for (const auto& epoch : before.epochs) {  // both are found to be another run's
      house.authority->record_lost({"web", hex(epoch.id), "Redis was restarted"}, house.now);
    }
    house.run(6s);
    CHECK(house.issuing() == 3);
    CHECK(house.ask() == 200);
    CHECK(hex(house.state().epochs.back().id) != hex(before.epochs.back().id));

    // one that was asked for while it fell, so that nobody knows that it stands
    house.run(22h + 59min);
    house.store_lives = false;
    house.run(2min);
    REQUIRE(house.issuing() == 3);
    REQUIRE_FALSE(house.state().epochs.back().sentinel);
    const auto id = hex(house.state().epochs.back().id);
    house.authority->sentinel_made({"web", id, "another value"}, house.now);
    house.authority->record_lost({"web", id, "another value"}, house.now);
    house.store_lives = true;
    house.run(5s);
    const auto after = house.state();
    CHECK(find(after, 5) != nullptr);
    CHECK(find(after, 5)->sentinel);
    CHECK(house.issuing() == 3);
    CHECK(house.alarm("issuing").empty());
  }

  TEST_CASE("an epoch's capacity is that of its making, whatever is configured later") {
    IssuingHouse house(tokens_config(true));
    house.config.capacity = 2000;
    house.reload();
    house.run(1h);
    const auto capacities = [&house] {
      const auto bytes = house.block();
      std::vector<std::uint32_t> all;
      const auto block = *wire::parse_token_block(bytes.expose());
      for (const auto& epoch : block.epochs) all.push_back(epoch.capacity);
      return all;
    };
    REQUIRE(capacities() == std::vector<std::uint32_t>{2000});
    const auto generation = house.last().generation;
    house.config.capacity = 5;
    house.reload();
    CHECK(house.last().generation == generation);
    CHECK_FALSE(house.said.sentinels.back().make);
    CHECK(house.said.sentinels.back().capacity == 2000);
    CHECK(house.issuing() == 1);
    house.run(22h + 31min);
    CHECK(capacities() == std::vector<std::uint32_t>{2000, 5});
    CHECK(house.said.sentinels.back().capacity == 5);
    house.begin_again();
    CHECK(capacities() == std::vector<std::uint32_t>{2000, 5});
  }

  TEST_CASE("a redeemer that enrols late is told that it is the one, and then it begins") {
    auto config = tokens_config(false);
    config.redeemer = "web2";
    IssuingHouse house(config);
    house.run(3min);
    CHECK(house.issuing() == 0);
    const Server web2(house.ca, "web2", "ticket:member:web:web2");
    REQUIRE(house.enrol(web2).status == 200);
    const auto before = house.last().generation;
    house.authority->seen({{"web", "web2", before, "192.0.2.2"}}, house.now);
    house.follow();
    REQUIRE(house.last().generation > before);
    house.run(10s);
    CHECK(house.issuing() == 0);  // it runs on what named nobody
    house.authority->seen({{"web", "web2", house.last().generation, "192.0.2.2"}}, house.now);
    house.run(30s);
    CHECK(house.issuing() == 1);
  }
}
