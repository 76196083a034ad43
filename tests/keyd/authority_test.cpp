#include <algorithm>
#include <set>

#include "fixture.hpp"

using namespace test;

namespace {

const ring::Epoch* sealing(const feed::Manifest& manifest, sys_seconds now) {
  return ring::sealing_epoch(manifest.epochs, manifest.policy.stretch, now);
}

}  // namespace

TEST_SUITE("authority") {
  TEST_CASE("a pool without members has keys, and they rotate") {
    House house;

    house.live(3h);

    CHECK(house.said.published.size() >= 4);
    const auto manifest = house.newest();
    CHECK(sealing(manifest, house.now) != nullptr);
    CHECK(manifest.epochs.back().seals_from >= house.now + 5h);
  }

  TEST_CASE("promise 1: no epoch seals that members seen lately have not applied") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    REQUIRE(house.enrol(web1).status == 200);

    std::set<std::uint32_t> applied;
    for (int minute = 0; minute < 60 * 30; ++minute) {
      const auto generation = house.last().generation;
      const auto newest = house.newest();
      for (const auto& epoch : newest.epochs) {
        applied.insert(epoch.number);
      }
      house.seen("web1", generation);
      house.live(60s);
      const auto manifest = house.newest();
      const auto* seals = sealing(manifest, house.now);
      REQUIRE(seals != nullptr);
      CHECK(applied.contains(seals->number));
    }
  }

  TEST_CASE("promise 1: a member that is behind keeps a late epoch from sealing for a minute") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    house.now += 48h;  // keyd was away for longer than any key lives

    house.seen("web1", house.last().generation);
    CHECK(sealing(house.newest(), house.now) == nullptr);
    house.seen("web1", 1);
    CHECK(sealing(house.newest(), house.now) == nullptr);

    house.seen("web1", house.last().generation);
    CHECK(sealing(house.newest(), house.now) != nullptr);
  }

  TEST_CASE("promise 1: one of two members that is behind keeps a late epoch from sealing") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    const Server web2(house.ca, "web2", "ticket:member:web:web2");
    house.tend();
    house.enrol(web1);
    house.enrol(web2);
    const auto old = house.last().generation;
    house.now += 48h;
    house.seen("web2", old);  // and with that there is a new generation, late

    house.seen("web1", house.last().generation);
    CHECK(sealing(house.newest(), house.now) == nullptr);
    CHECK(sealing(house.newest(), house.now + 60s) != nullptr);

    house.seen("web2", house.last().generation);
    CHECK(sealing(house.newest(), house.now) != nullptr);
  }

  TEST_CASE("promise 1: a keyd just restarted waits for members that were here before") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    house.now += 48h;  // away for longer than any key lives, and web1 has not called yet
    house.restart();
    house.tend();

    const auto first = house.newest();
    CHECK(sealing(first, house.now) == nullptr);
    CHECK(sealing(first, house.now + 59s) == nullptr);
    CHECK(sealing(first, house.now + 60s) != nullptr);
  }

  TEST_CASE("promise 1: nothing is published before the store has it") {
    House house;
    house.store.asynchronous = true;

    house.tend();
    CHECK(house.store.waiting());
    CHECK(house.said.published.empty());
    CHECK_FALSE(house.authority->ready());

    house.store.finish();
    REQUIRE(house.said.published.size() == 1);
    CHECK(house.store.state().pool("web")->generation == house.last().generation);
    CHECK(house.authority->ready());
  }

  TEST_CASE("a pool that is added, and gets no keys yet, keeps keyd from nothing") {
    House house;
    house.tend();
    const char* kind = "";
    SUBCASE("the machine came up behind the other's keys: rotation holds") {
      house.now -= 1h;
      kind = "clock";
    }
    SUBCASE("the disk is full") {
      house.store.problem = "No space left on device";
      kind = "store";
    }
    house.restart({setup(house.ca), setup(house.ca, "api")});
    house.tend();

    CHECK(house.authority->ready());
    for (const auto& pool : house.authority->report(house.now).pools) {
      CAPTURE(pool.name);
      CHECK((pool.generation != 0) == (pool.name == "web"));
      CHECK(std::ranges::count(pool.alarms, kind, &keyd::AlarmReport::kind) == 1);
    }
  }

  TEST_CASE("a keyd that serves nobody, and cannot store what it makes, is not ready yet") {
    House house;
    house.store.problem = "No space left on device";
    house.tend();
    CHECK_FALSE(house.authority->ready());
    CHECK(house.authority->report(house.now).pools.at(0).alarms.at(0).kind == "store");

    house.store.problem.clear();
    house.live(10s);
    CHECK(house.authority->ready());
  }

  TEST_CASE("promise 2: a store that fails publishes nothing, says so, and is tried again") {
    House house;
    house.tend();
    const auto stood = house.last().generation;
    const auto before = *house.store.blob;

    house.store.problem = "No space left on device";
    house.live(2h);
    CHECK(house.last().generation == stood);
    CHECK(*house.store.blob == before);
    const auto alarms = house.pool_status().at("alarms");
    REQUIRE(alarms.size() == 1);
    CHECK(alarms.at(0).get<std::string>().find("No space left on device") == 0);
    CHECK(sealing(house.manifest(0), house.now) != nullptr);  // what was announced goes on

    house.store.problem.clear();
    house.live(10s);
    CHECK(house.last().generation > stood);
    CHECK(house.pool_status().at("alarms").empty());
  }

  TEST_CASE("promise 9: generations and epochs never repeat, through failures and restarts") {
    House house;
    std::set<std::uint64_t> generations;
    std::map<std::uint32_t, ring::EpochId> epochs;

    for (int round = 0; round < 60; ++round) {
      house.store.problem = round % 3 == 1 ? "Input/output error" : "";
      house.live(20min);
      if (round % 5 == 4) {
        house.store.problem.clear();
        house.restart();
      }
    }

    std::uint64_t last = 0;
    for (std::size_t i = 0; i < house.said.published.size(); ++i) {
      const auto manifest = house.manifest(i);
      CHECK(manifest.generation >= last);
      last = manifest.generation;
      generations.insert(manifest.generation);
      for (const auto& epoch : manifest.epochs) {
        const auto [known, fresh] = epochs.emplace(epoch.number, epoch.id);
        CHECK(known->second == epoch.id);
      }
    }
    CHECK(generations.size() > 15);
    CHECK(epochs.size() > 20);
  }

  TEST_CASE("promise 9: a restart publishes the same manifest again, to the byte") {
    House house;
    house.live(1h);
    const auto before = *feed::parse_bundle(house.last().bundle);
    const auto generation = house.last().generation;

    house.restart();

    CHECK(house.last().generation == generation);
    CHECK(feed::parse_bundle(house.last().bundle)->manifest == before.manifest);
  }

  TEST_CASE("promise 9: an old backup of the state is overtaken as soon as a member tells") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    const auto backup = *house.store.blob;
    house.live(3h);
    const auto applied = house.last().generation;

    house.store.blob = backup;
    house.now += 1s;
    house.restart();
    house.tend();
    SUBCASE("of our time") {
      house.seen("web1", applied);
      CHECK(house.last().generation > applied);
    }
    SUBCASE("of a clock that was a month ahead") {
      const auto ahead = applied + 30 * 86'400'000ULL;
      house.seen("web1", ahead);
      CHECK(house.last().generation == ahead + 1);
    }
    SUBCASE("of no clock: a member gone bad cannot use up the numbers there are") {
      const auto count = house.said.published.size();
      house.seen("web1", ~std::uint64_t{0});
      CHECK(house.said.published.size() == count);
    }
  }

  TEST_CASE("promise 9: a state known to be an older copy makes a new generation at once") {
    House house;
    house.live(3h);
    auto state = house.store.state();
    const auto old = house.last().generation;
    keyd::go_on_from(state, state.counter + 5, house.now);

    house.now += 1s;
    house.authority = house.begin(std::move(state));
    house.authority->configure({setup(house.ca)}, house.now);
    house.tend();

    CHECK(house.last().generation > old);
    house.live(2h);
    CHECK(house.newest().epochs.back().number > 5 * 64);
  }

  TEST_CASE("a member that lies about what it applied makes no generations") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    const auto count = house.said.published.size();

    for (int i = 0; i < 10; ++i) house.seen("web1", house.last().generation + 1000 + i);

    CHECK(house.said.published.size() == count);
  }

  TEST_CASE("generation is Unix milliseconds, and one more than the last when that is not more") {
    House house;
    house.tend();
    CHECK(house.last().generation == 1'790'000'000'000);

    house.order({.pool = "web"});
    CHECK(house.last().generation == 1'790'000'000'001);
  }

  TEST_CASE("an enrolment adds a wrap, and a name at the next generation") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;

    const auto answer = house.enrol(web1);
    CHECK(answer.status == 200);
    CHECK(answer.member == 1);
    CHECK(house.said.published.size() == 1);
    REQUIRE(house.said.wraps.size() == 1);
    const auto opened = open_last(house, web1);
    REQUIRE(opened.has_value());
    CHECK(opened->ring.member == 1);
    CHECK(opened->manifest.members.empty());

    house.live(2h);
    const auto later = open_last(house, web1);
    REQUIRE(later.has_value());
    CHECK(later->manifest.members == std::vector<feed::MemberEntry>{{1, "web1"}});
  }

  TEST_CASE("a member keeps its number when it enrols again, also over a restart") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    const Server web2(house.ca, "web2", "ticket:member:web:web2");
    house.tend();
    house.enrol(web1);
    house.enrol(web2);

    house.now += 5s;
    house.restart();
    CHECK(house.enrol(web1).member == 1);
    house.now += 5s;
    CHECK(house.enrol(web2).member == 2);
    CHECK(house.pool_status().at("members").size() == 2);
  }

  TEST_CASE("an enrolment is refused when its time is not newer than the last") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    const auto captured = web1.enrol("web", house.now);
    house.authority->enrol(captured);
    house.tend();
    CHECK(house.said.answers.back().status == 200);
    house.now += 2s;

    house.authority->enrol(captured);
    house.tend();

    CHECK(house.said.answers.back().status == 403);
    CHECK(house.said.answers.back().error.find("web1") != std::string::npos);
    CHECK(house.said.answers.back().error.find("not newer") != std::string::npos);
  }

  TEST_CASE("a member is told to come back when the state cannot be stored") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.store.problem = "No space left on device";

    CHECK(house.enrol(web1).status == 503);
    CHECK(house.said.wraps.empty());
    CHECK(house.pool_status().at("members").empty());
  }

  TEST_CASE("what comes while a store is under way waits, and is not lost") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    const Server web2(house.ca, "web2", "ticket:member:web:web2");
    house.store.asynchronous = true;
    house.tend();
    house.authority->enrol(web1.enrol("web", house.now));
    house.authority->enrol(web2.enrol("web", house.now));
    house.tend();
    CHECK(house.said.answers.empty());

    house.store.finish();
    house.tend();
    house.store.finish();

    REQUIRE(house.said.answers.size() == 2);
    CHECK(house.said.answers[0].status == 200);
    CHECK(house.said.answers[1].member == 2);
    CHECK(house.store.expected_counters == std::vector<std::uint64_t>{0, 1});
  }

  TEST_CASE("rotate makes the next announced epoch seal at once, and says which") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    house.seen("web1", house.last().generation);
    const auto before = house.pool_status().at("epochs");

    const auto answer = house.order({.pool = "web"});

    CHECK(answer.at("ok") == true);
    CHECK(answer.at("generation") == house.last().generation);
    CHECK(answer.at("sealing") == before.at(1).at("number"));
  }

  TEST_CASE("rotate names a pool that there is not, and a store that fails") {
    House house;
    house.tend();

    CHECK(house.order({.pool = "mail"}).at("error") == "no pool is called 'mail'");

    house.store.problem = "Input/output error";
    const auto answer = house.order({.pool = "web"});
    CHECK(answer.at("ok") == false);
    CHECK(answer.at("error") == "Input/output error");
  }

  TEST_CASE("a changed policy makes a generation at once") {
    House house;
    house.tend();
    ring::Policy policy;
    policy.lifetime = 6h;

    house.authority->configure({setup(house.ca, "web", policy)}, house.now);
    house.tend();

    CHECK(house.newest().policy == policy);
  }

  TEST_CASE("a pool that left the configuration keeps its numbers, and loses its keys in time") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.enrol(web1);

    house.authority->configure({setup(house.ca, "mail")}, house.now);
    house.live(30h);

    const auto state = house.store.state();
    CHECK(state.pool("web")->epochs.empty());
    CHECK(state.pool("web")->secrets.size() == 0);
    CHECK(state.pool("web")->members.size() == 1);
    CHECK(json(house.authority->status("", house.now)).at("pools").size() == 1);
  }

  TEST_CASE("promise 3: keys that have ended are in no state and no bundle any more") {
    House house;
    house.live(48h);

    const auto state = house.store.state();
    const auto& epochs = state.pool("web")->epochs;
    CHECK(epochs.size() > 7);
    CHECK(epochs.size() < 25);
    for (const auto& epoch : epochs) CHECK(epoch.opens_until > house.now);
  }

  TEST_CASE("promise 3: a key goes when it ends, also when no other is due for long") {
    House house;
    const ring::Policy policy{.rotate_every = 24h, .lifetime = 2h, .publish_ahead = 24h};
    house.authority->configure({setup(house.ca, "web", policy)}, house.now);
    house.live(26h - 1s);
    REQUIRE(house.store.state().pool("web")->epochs.size() == 3);
    house.live(1s);
    CHECK(house.store.state().pool("web")->epochs.size() == 2);
    CHECK(house.store.state().pool("web")->secrets.size() == 64);
    CHECK(house.newest().epochs.size() == 2);
  }

  TEST_CASE("promise 3: keys of a pool that left the configuration go when they end") {
    House house;
    house.tend();
    const auto ends = house.newest().epochs.front().opens_until;
    // nothing is due for many hours
    const ring::Policy rare{.rotate_every = 24h, .publish_ahead = 24h};
    house.authority->configure({setup(house.ca, "mail", rare)}, house.now);
    house.live(ends - house.now - 1s);
    const auto before = house.store.state().pool("web")->epochs.size();
    CHECK(house.authority->next(house.now) == ends);
    house.live(1s);
    CHECK(house.store.state().pool("web")->epochs.size() == before - 1);
  }

  TEST_CASE("promise 3: a clock that is set is noticed before anything else is due") {
    const auto seconds_left = [](const House& house, seconds apart) {
      const Moment now(house.now, house.now + apart);
      return (house.authority->next(now) - house.now).count();
    };
    House house;
    const ring::Policy policy{.rotate_every = 24h, .lifetime = 2h, .publish_ahead = 24h};
    house.authority->configure({setup(house.ca, "web", policy)}, house.now);
    house.live(25h);
    REQUIRE(seconds_left(house, 0s) > 60);
    CHECK(seconds_left(house, 301s) <= 0);
    CHECK(seconds_left(house, -301s) <= 0);
    house.authority->tend(Moment(house.now, house.now + 301s));
    CHECK(seconds_left(house, 301s) == 5);  // no busy loop
    house.tend();

    // by minutes, near the end of a key: that is not enough to hold rotation
    house.live(house.newest().epochs.front().opens_until - house.now - 60s);
    const auto before = house.store.state().pool("web")->epochs.size();
    const Moment ahead(house.now, house.now + 61s);
    REQUIRE(house.authority->next(house.now) > house.now);
    REQUIRE(house.authority->next(ahead) <= house.now);
    house.authority->tend(ahead);
    CHECK(house.store.state().pool("web")->epochs.size() == before - 1);
    CHECK(house.authority->next(ahead) > house.now);
  }

  TEST_CASE("promise 3: a keeper that can store nothing keeps no key past its end") {
    House house;
    const auto pools = [&](bool both) {
      std::vector<keyd::PoolSetup> pools{setup(house.ca)};
      if (both) pools.push_back(setup(house.ca, "mail"));
      return pools;
    };
    house.authority->configure(pools(true), house.now);
    house.live(1h);
    house.authority->configure(pools(false), house.now);
    const auto before = house.newest();
    const auto numbers = [&](const std::string& pool) {
      std::set<std::uint32_t> numbers;
      const auto state = house.store.state();
      for (const auto& epoch : state.pool(pool)->epochs) numbers.insert(epoch.number);
      return numbers;
    };
    const auto told = numbers("web");
    house.store.problem = "No space left on device";
    const auto pass = [&](int hours) {
      for (int i = 0; i < hours; ++i) house.now += 1h, house.tend();
    };
    pass(14);
    const auto status = house.pool_status();
    for (const auto& epoch : status.at("epochs")) {
      CHECK(epoch.at("opens_until") > house.now.time_since_epoch().count());
    }
    REQUIRE(house.pool_status().at("epochs").size() < told.size());

    const auto published = house.said.published.size();
    house.authority->configure(pools(false), house.now);
    CHECK(house.said.published.size() == published);  // who has the old one keeps it
    pass(24);
    CHECK(house.pool_status().at("epochs").empty());
    CHECK(numbers("web") == told);  // the disk still has them

    house.store.problem.clear();
    house.live(10s);
    CHECK(house.newest().generation > before.generation);
    CHECK(sealing(house.newest(), house.now) != nullptr);
    for (const auto number : numbers("web")) CHECK(number > *told.rbegin());
    CHECK(house.store.state().pool("web")->secrets.size() == 32 * numbers("web").size());
    CHECK(numbers("mail").empty());
    house.restart();
    CHECK(house.said.published.back().generation == house.newest().generation);
  }

  TEST_CASE("promise 11: no two secrets or ids of a state are the same, and none is zero") {
    House house;
    house.live(48h);

    const auto state = house.store.state();
    const auto& pool = *state.pool("web");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
      const auto secret = pool.secrets.expose().subspan(i * 32, 32);
      CHECK_FALSE(all_zero(secret));
      CHECK(seen.insert(hex(secret)).second);
      CHECK(seen.insert(hex(pool.epochs[i].id)).second);
    }
  }

  TEST_CASE("status tells what docs/formats.md says") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.now += 1s;
    house.enrol(web1);
    house.seen("web1", house.last().generation);

    const auto status = json(house.authority->status("", house.now));
    CHECK(status.at("ok") == true);
    CHECK(status.at("now") == 1'790'000'001);
    const auto pool = status.at("pools").at(0);
    for (const char* field : {"name", "generation", "issued_at", "not_after", "policy", "epochs",
                              "members", "alarms"}) {
      CAPTURE(field);
      CHECK(pool.contains(field));
    }
    CHECK(pool.at("members").at(0).at("last_seen") == 1'790'000'001);
    CHECK(pool.at("members").at(0).at("applied") == house.last().generation);
    CHECK(pool.at("epochs").at(0).at("state") == "sealing");
    const auto pools = json(house.authority->pools(house.now)).at("pools").at(0);
    CHECK(pools.at("members") == 1);
    CHECK(pools.at("sealing") == 1);
  }

  TEST_CASE("promise 12: neither what is published nor what is told holds a secret") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    house.tend();
    house.enrol(web1);
    house.live(2h);

    std::string told = json(house.authority->status("", house.now)).dump();
    for (const auto& message : house.said.published) told += keyd::write_message(message);
    for (const auto& message : house.said.wraps) told += keyd::write_message(message);
    const auto state = house.store.state();
    const auto& pool = *state.pool("web");
    REQUIRE(told.find(hex(pool.epochs[0].id)) != std::string::npos);  // it can be found
    for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
      const auto secret = pool.secrets.expose().subspan(i * 32, 32);
      CHECK(told.find(hex(secret)) == std::string::npos);
      CHECK(told.find(base64url(secret)) == std::string::npos);
    }
    CHECK(told.find(base64url(pool.content_key.expose())) == std::string::npos);
  }
}
