// The connection that keyd keeps to a Redis, with a real one at its other end.
#include "redis_link.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "redis_samples.hpp"

namespace ticket::replay {

namespace {

using namespace std::chrono_literals;
using samples::Answer;
using samples::in_a_day;
using samples::location;
using samples::make_sentinel;
using samples::me;
using samples::other;
using samples::RealRedis;
using samples::redis_epoch;
using spdlog::level::level_enum;

// Runs a loop until a condition holds.
struct Loop {
  boost::asio::io_context context;
  std::vector<std::string> logged;

  keyd::RedisLink::Log log() {
    return [this](level_enum level, const std::string& text) {
      if (level > level_enum::debug) logged.push_back(text);
    };
  }
  bool says(const std::string& part) const {
    return std::ranges::any_of(
        logged, [&](const auto& line) { return line.find(part) != std::string::npos; });
  }
  bool until(const std::function<bool()>& condition, std::chrono::milliseconds patience = 20s) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context.restart();
      context.run_for(5ms);
    }
    return true;
  }
  Answer claim(keyd::RedisClaimer& claimer, std::uint64_t number, const ClaimId& id = me) {
    std::optional<Answer> answer;
    claimer.claim(redis_epoch, location(number), id, [&](Verdict verdict, Doubt doubt) {
      answer = {verdict, doubt};
    });
    until([&] { return answer.has_value(); });
    return answer.value_or(Answer{Verdict::unknown, Doubt::none});
  }
};

const Answer fresh{Verdict::fresh, Doubt::none}, again{Verdict::replay, Doubt::none};

}  // namespace

TEST_SUITE("redis link") {
  TEST_CASE("claims over a Unix socket and over TCP are one record, however many at once") {
    const auto port = std::to_string(support::unused_port());
    const RealRedis redis({"--port", port, "--bind", "127.0.0.1"});
    REQUIRE(make_sentinel(redis.socket()) == "");
    Loop loop;
    keyd::RedisClaimer local(loop.context, redis.socket(), samples::patient, loop.log());
    keyd::RedisClaimer remote(loop.context, "127.0.0.1:" + port, samples::patient, loop.log());
    REQUIRE(loop.until([&] { return local.ready() && remote.ready(); }));
    CHECK(loop.says("connected, run id"));
    CHECK(loop.says("appendonly is no"));

    int freshes = 0, replays = 0;
    const auto count = [&](Verdict verdict, Doubt) {
      freshes += verdict == Verdict::fresh ? 1 : 0;
      replays += verdict == Verdict::replay ? 1 : 0;
    };
    for (std::uint64_t i = 0; i < 2000; ++i) {
      local.claim(redis_epoch, location(i), me, count);
      remote.claim(redis_epoch, location(i), other, count);
    }
    REQUIRE(loop.until([&] { return freshes + replays == 4000; }));
    CHECK(freshes == 2000);
  }

  TEST_CASE(
      "promise 13: a Redis that ends answers nobody; it is found again and lets nothing pass") {
    RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Loop loop;
    keyd::RedisClaimer claimer(loop.context, redis.socket(), samples::patient, loop.log());
    REQUIRE(loop.until([&] { return claimer.ready(); }));
    CHECK(loop.claim(claimer, 1) == fresh);
    CHECK(loop.claim(claimer, 1, other) == again);

    redis.kill();
    REQUIRE(loop.until([&] { return !claimer.ready(); }));
    CHECK(loop.claim(claimer, 2) == Answer{Verdict::unknown, Doubt::unconnected});
    CHECK(loop.says("it closed the connection"));
    REQUIRE(loop.until([&] { return loop.says("refused"); }));
    redis.start();
    REQUIRE(loop.until([&] { return claimer.ready(); }));
    CHECK(loop.claim(claimer, 1, other) == Answer{Verdict::unknown, Doubt::sentinel});
  }

  TEST_CASE("a claim that gets no answer is unknown within its time") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Loop loop;
    keyd::RedisClaimer claimer(loop.context, redis.socket(), {50ms}, loop.log());
    REQUIRE(loop.until([&] { return claimer.ready(); }));
    redis.stop();
    const auto began = std::chrono::steady_clock::now();
    CHECK(loop.claim(claimer, 1) == Answer{Verdict::unknown, Doubt::late});
    CHECK(std::chrono::steady_clock::now() - began < 5s);
  }

  TEST_CASE(
      "a Redis that may not keep the record is told of once, and taken when it is put right") {
    const RealRedis redis({"--maxmemory-policy", "allkeys-lru"});
    Loop loop;
    keyd::RedisClaimer claimer(loop.context, redis.socket(), {}, loop.log());
    REQUIRE(loop.until([&] { return loop.says("set it to noeviction"); }));
    CHECK_FALSE(loop.until([&] { return claimer.ready(); }, 1500ms));
    CHECK(loop.logged.size() == 1);
    REQUIRE(redis.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
    CHECK(loop.until([&] { return claimer.ready(); }));
  }

  TEST_CASE("what is no address, or nobody's, is said") {
    const support::TempFolder folder;
    Loop loop;
    const std::string addresses[] = {(folder / "none.sock").string(), "nonsense",
                                     "127.0.0.1:" + std::to_string(support::unused_port())};
    for (const auto& address : addresses) {
      CAPTURE(address);
      keyd::RedisClaimer claimer(loop.context, address, {}, loop.log());
      CHECK(loop.until([&] { return loop.says(address); }));
      CHECK(loop.claim(claimer, 1) == Answer{Verdict::unknown, Doubt::unconnected});
    }
    CHECK(loop.says("No such file"));
    CHECK(loop.says("HOST:PORT"));
    CHECK(loop.says("refused"));
  }

  TEST_CASE("who ends with claims under way gets them answered, once") {
    const RealRedis redis;
    Loop loop;
    int answers = 0;
    {
      keyd::RedisClaimer claimer(loop.context, redis.socket(), samples::patient, loop.log());
      REQUIRE(loop.until([&] { return claimer.ready(); }));
      for (std::uint64_t i = 0; i < 10; ++i) {
        claimer.claim(redis_epoch, location(i), me, [&](Verdict verdict, Doubt) {
          ++answers;
          CHECK(verdict == Verdict::unknown);
        });
      }
    }
    CHECK(answers == 10);
    loop.until([] { return false; }, 50ms);
    CHECK(answers == 10);
  }

  TEST_CASE("who is stopped while it connects is not connected any more") {
    const RealRedis redis;
    Loop loop;
    for (int steps = 0; steps < 12; ++steps) {
      CAPTURE(steps);
      loop.context.restart();
      {
        const keyd::RedisClaimer claimer(loop.context, redis.socket(), {}, loop.log());
        for (int i = 0; i < steps; ++i) loop.context.poll_one();
      }
      loop.until([] { return false; }, 20ms);
    }
  }

  TEST_CASE("promise 13: the front makes a sentinel, and tells within seconds that it is lost") {
    RealRedis redis;
    Loop loop;
    std::vector<std::string> lost;
    keyd::RedisWatch watch(loop.context, redis.socket(), {}, loop.log(),
                           [&](const auto&, const auto& why) { lost.push_back(why); });
    std::optional<std::string> made;
    const auto note = [&](const std::string& error) { made = error; };
    watch.make(redis_epoch, in_a_day(), note);
    CHECK(made == "not connected yet");
    REQUIRE(loop.until([&] { return watch.ready(); }));
    watch.make(redis_epoch, in_a_day(), note);
    REQUIRE(loop.until([&] { return made == ""; }));
    CHECK_FALSE(loop.until([&] { return !lost.empty(); }, 1500ms));

    redis.kill();
    CHECK_FALSE(loop.until([&] { return !lost.empty(); }, 1500ms));  // not reached: not lost
    redis.start();
    CHECK(loop.until([&] { return !lost.empty(); }));
    CHECK(lost.size() == 1);
  }
}

}  // namespace ticket::replay
