// The front's records, with a real Redis behind them and the test where the keeper is.
#include "redis_records.hpp"

#include <doctest/doctest.h>

#include "redis_samples.hpp"

namespace {

using namespace std::chrono_literals;
using samples::RealRedis;

class Keeper : public keyd::Upstream {
 public:
  const keyd::ShelfPool* pool(const std::string&) const override { return nullptr; }
  void enrol(keyd::Enrol, std::function<void(const keyd::Enrolled&)>) override {}
  void seen(keyd::SeenList) override {}
  const keyd::ShelfDirectory* directory(const std::string&) const override { return nullptr; }
  void issue(keyd::Issue, std::function<void(const keyd::Issued&)>) override {}
  void sentinel_made(keyd::SentinelMade answer) override { made.push_back(answer.error); }
  void record_lost(keyd::RecordLost loss) override { lost.push_back(loss.epoch); }

  std::vector<std::string> made, lost;
};

struct World {
  RealRedis redis;
  boost::asio::io_context context;
  Keeper keeper;
  keyd::RedisRecords records{context, keeper};

  keyd::IssuerSetup issuer() const {
    keyd::IssuerSetup issuer;
    issuer.pool = "web";
    issuer.redis = {keyd::Address{redis.socket(), ""}};
    return issuer;
  }
  static keyd::MakeSentinel sentinel(bool make, const std::string& pool = "web") {
    const auto now = ticket::SystemClock().now().steady.time_since_epoch();
    return {pool, std::string(32, '7'), std::string(32, '9'), make, (now + 24h).count(), 1000};
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
  // As the keeper does, until it stands.
  bool make() {
    return until([&] {
      records.make(sentinel(true));
      context.restart();
      context.run_for(100ms);
      return !keeper.made.empty() && keeper.made.back().empty();
    });
  }
};

}  // namespace

TEST_SUITE("redis records") {
  TEST_CASE("promise 13: an epoch's sentinel is made, and its loss is told once") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());
    CHECK_FALSE(world.until([&] { return !world.keeper.lost.empty(); }, 1500ms));

    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    REQUIRE(world.until([&] { return !world.keeper.lost.empty(); }));
    CHECK(world.keeper.lost == std::vector<std::string>{std::string(32, '7')});
  }

  TEST_CASE("promise 13: the sentinel of an epoch that may have begun is never made anew") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());
    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    REQUIRE(world.until([&] { return !world.keeper.lost.empty(); }));

    world.keeper.made.clear();
    world.keeper.lost.clear();
    world.records.make(world.sentinel(false));  // as after a restart of keyd
    CHECK(world.until([&] { return !world.keeper.lost.empty(); }));
    CHECK(world.keeper.made.empty());
    CHECK(world.redis.ask({"DBSIZE"}) == "0");
  }

  TEST_CASE("promise 13: an order to make it that comes late makes no sentinel that stood") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());
    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    world.keeper.made.clear();
    world.records.make(world.sentinel(true));
    REQUIRE(world.until([&] { return !world.keeper.made.empty(); }));
    CHECK(world.keeper.made.front() == "Redis did not keep it");
    CHECK(world.until([&] { return !world.keeper.lost.empty(); }));
    CHECK(world.redis.ask({"DBSIZE"}) == "0");
  }

  TEST_CASE(
      "promise 13: who asks before there is a connection has the epoch watched all the same") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());
    Keeper next;  // keyd is started anew
    keyd::RedisRecords records{world.context, next};
    records.configure({world.issuer()});
    records.make(world.sentinel(false));  // at once
    CHECK_FALSE(world.until([&] { return !next.lost.empty(); }, 1500ms));
    CHECK(next.made.empty());

    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    CHECK(world.until([&] { return !next.lost.empty(); }));
  }

  TEST_CASE("promise 13: a sentinel of another run of Redis is lost, also to who would make it") {
    World world;
    RealRedis redis({"--appendonly", "yes", "--appendfsync", "always"});
    auto issuer = world.issuer();
    issuer.redis = {keyd::Address{redis.socket(), ""}};
    world.records.configure({issuer});
    REQUIRE(world.make());

    // keyd and Redis end before keyd has stored that it stands
    redis.kill();
    redis.start();
    Keeper next;
    keyd::RedisRecords records{world.context, next};
    records.configure({issuer});
    REQUIRE(world.until([&] {
      records.make(world.sentinel(true));
      world.context.restart();
      world.context.run_for(100ms);
      return !next.lost.empty();
    }));
    CHECK(next.lost.front() == std::string(32, '7'));
    CHECK(next.made.back().find("another value") != std::string::npos);
  }

  TEST_CASE("an epoch that is over is watched no more") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());
    auto ended = world.sentinel(false);
    ended.over = true;
    world.records.make(ended);
    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    CHECK_FALSE(world.until([&] { return !world.keeper.lost.empty(); }, 2500ms));
  }

  TEST_CASE("one that is over before Redis has answered is not watched either") {
    World world;
    world.records.configure({world.issuer()});
    REQUIRE(world.make());  // connected
    auto ended = world.sentinel(true);
    ended.epoch = std::string(32, '8');
    world.records.make(ended);
    ended.over = true;
    world.records.make(ended);
    world.keeper.made.clear();
    REQUIRE(world.until([&] { return !world.keeper.made.empty(); }));
    CHECK(world.keeper.made.front().empty());  // it came about all the same
    REQUIRE(world.redis.ask({"FLUSHALL"}) == "OK");
    CHECK(world.until([&] { return !world.keeper.lost.empty(); }));
    CHECK_FALSE(world.until([&] { return world.keeper.lost.size() > 1; }, 1500ms));
    CHECK(world.keeper.lost.front() == std::string(32, '7'));
  }

  TEST_CASE("a pool that has no Redis here is told so; one that stays keeps its connection") {
    World world;
    world.records.make(world.sentinel(true));
    world.records.configure({world.issuer()});
    world.records.make(world.sentinel(true, "mail"));
    REQUIRE(world.keeper.made.size() == 2);
    CHECK(world.keeper.made[0] == "the front knows no Redis of this pool");
    CHECK(world.keeper.made[1] == world.keeper.made[0]);

    REQUIRE(world.make());
    world.records.configure({world.issuer()});
    world.keeper.made.clear();
    world.records.make(world.sentinel(true));
    CHECK(world.until([&] { return !world.keeper.made.empty(); }));
    CHECK(world.keeper.made.front().empty());  // it was connected
  }
}
