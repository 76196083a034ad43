// Promises 2 and 10, as clients of an OpenSSL server see them: a day without
// keyd, clocks that are set, servers that disagree about the time.
#include <doctest/doctest.h>

#include "pool.hpp"

using namespace pool;

namespace {

// With its name told, a context needs no second look in TLS 1.2.
constexpr tkt_openssl_name told[] = {{"a.test", "a"}};
constexpr tkt_openssl_options tell_name{
    .size = 0, .context = nullptr, .names = told, .names_count = 1};

std::vector<Life> shifted(std::vector<Life> lives, seconds by) {
  for (auto& life : lives) {
    life.seals_from += by;
    life.seals_until += by;
    life.opens_until += by;
  }
  return lives;
}

// What keyd had announced with the default policy when it died: the epoch that
// seals, and six hours more.
constexpr unsigned announced = 7;
constexpr auto last_seal = 19h;  // the last key's own end, before its stretch is over

}  // namespace

TEST_SUITE("openssl: clocks") {
  TEST_CASE("promise 2: a day without keyd, minute by minute as clients see it") {
    Clock clock;
    Server one("one", 1, clock), two("two", 2, clock);
    one.publish(hourly(announced));
    two.publish(hourly(announced));
    const auto here = attached("a.test", one, tell_name);
    const auto there = attached("a.test", two, tell_name);
    std::vector<std::pair<seconds, SessionPtr>> kept;  // one an hour, and when it was made
    std::vector<int> states;

    for (seconds since{0}; since < 30h; since += 10min, clock.pass(10min)) {
      CAPTURE(since.count());
      one.tend();
      two.tend();
      if (states.empty() || states.back() != one.info().state) states.push_back(one.info().state);
      for (const int version : both_versions) {
        auto first = connect(here.get(), {.version = version});
        REQUIRE(first.completed);
        CHECK(first.server_alerts == 0);
        CHECK((first.tickets > 0) == (since < last_seal));
        if (first.tickets == 0) continue;
        const auto second =
            connect(there.get(), {.version = version, .session = first.session.get()});
        CHECK(second.resumed);
        if (since.count() % 3600 == 0) kept.emplace_back(since, std::move(first.session));
      }
      for (const auto& [made, session] : kept) {
        const auto again = connect(
            there.get(),
            {.version = SSL_SESSION_get_protocol_version(session.get()), .session = session.get()});
        REQUIRE(again.completed);
        CHECK(again.server_alerts == 0);
        // its key: that of the hour in which it was made, the last one stretching
        const auto hour = std::min<seconds>(made - made % 1h, 6h);
        if (since >= hour + 13h) CHECK_FALSE(again.resumed);
        if (since < hour + 13h && since < made + 12h) CHECK(again.resumed);
      }
    }

    CHECK(states == std::vector<int>{TKT_RING_OK, TKT_RING_STRETCHED, TKT_RING_STOPPED});
    CHECK(kept.size() >= 2 * 19);
    CHECK(one.counters().not_sealed > 100);
  }

  TEST_CASE("promise 10: a wall clock that is set changes nothing that is sealed") {
    for (const auto step : {seconds(5min), seconds(-5min), seconds(-9 * 24h)}) {
      CAPTURE(step.count());
      Clock clock;
      Server one("one", 1, clock);
      one.publish(hourly(announced));
      const auto context = attached("a.test", one, tell_name);
      for (const int version : both_versions) {
        const auto before = connect(context.get(), {.version = version});
        clock.wall += step;
        one.tend();
        const auto after =
            connect(context.get(), {.version = version, .session = before.session.get()});
        CHECK(after.resumed);
        CHECK(after.info.epoch == 1);
        CHECK(connect(context.get(), {.version = version}).tickets > 0);
        CHECK(one.info().sealing_epoch == 1);
        clock.wall -= step;
      }
    }
  }

  TEST_CASE("promise 10: set ahead past the keys' ends, no ticket opens and handshakes go on") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(announced));
    const auto context = attached("a.test", one, tell_name);
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      one.publish(hourly(announced));
      const auto before = connect(context.get(), {.version = version});
      REQUIRE(before.tickets > 0);
      clock.wall += 9 * 24h;
      one.tend();
      const auto after =
          connect(context.get(), {.version = version, .session = before.session.get()});
      CHECK(after.completed);
      CHECK_FALSE(after.resumed);
      CHECK(after.server_alerts == 0);
      CHECK(after.tickets == 0);
      CHECK(one.info().state == TKT_RING_STOPPED);

      // right again: the next generation brings tickets back
      clock.wall -= 9 * 24h;
      one.publish(hourly(announced));
      one.tend();
      CHECK(connect(context.get(), {.version = version}).tickets > 0);
    }
  }

  TEST_CASE("servers that disagree by up to publish_ahead open all that the others seal") {
    for (const auto skew : {seconds(5min), seconds(1h), seconds(3h), seconds(6h)}) {
      CAPTURE(skew.count());
      Clock ahead, behind;
      ahead.pass(skew);
      Server one("one", 1, ahead), two("two", 2, behind);
      // keyd's time is that of the one behind, and it announces 6 h and more
      const auto lives = hourly(announced);
      one.publish(shifted(lives, -skew));
      two.publish(lives);
      const auto here = attached("a.test", one, tell_name);
      const auto there = attached("a.test", two, tell_name);
      for (const int version : both_versions) {
        CAPTURE(version_name(version));
        const auto first = connect(here.get(), {.version = version});
        REQUIRE(first.tickets > 0);
        const auto second =
            connect(there.get(), {.version = version, .session = first.session.get()});
        CHECK(second.resumed);
        const auto back =
            connect(here.get(), {.version = version, .session = second.session.get()});
        CHECK(back.resumed);
      }
    }
  }
}
