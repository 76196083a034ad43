// A real Redis, and what may happen to it: nothing is accepted twice.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "redis_samples.hpp"

namespace ticket::replay {

namespace {

using namespace std::chrono_literals;
using samples::Answer;
using samples::Claimer;
using samples::in_a_day;
using samples::location;
using samples::make_sentinel;
using samples::me;
using samples::other;
using samples::RealRedis;
using samples::redis_epoch;

const Answer fresh{Verdict::fresh, Doubt::none}, replay{Verdict::replay, Doubt::none},
    no_sentinel{Verdict::unknown, Doubt::sentinel};

// Tokens 0 to `count` - 1 are spent.
void spend(const RealRedis& redis, std::uint64_t count) {
  Claimer claimer(redis.socket());
  for (std::uint64_t i = 0; i < count; ++i) REQUIRE(claimer.claim(i) == Verdict::fresh);
}

// Who comes anew gets no `fresh`, for tokens that were spent and for those that were not.
void check_nothing_passes(const RealRedis& redis, Answer instead = no_sentinel) {
  Claimer claimer(redis.socket());
  for (std::uint64_t i = 0; i < 20; ++i) {
    CHECK(claimer.ask(location(i), me) == instead);
    CHECK(claimer.ask(location(i), other) == instead);
  }
}

using Count = std::atomic<std::uint32_t>;

Count* shared(std::size_t count) {
  void* map = mmap(nullptr, count * sizeof(Count), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(map != MAP_FAILED);
  return static_cast<Count*>(map);
}

constexpr std::size_t tokens = 10'000, processes = 8, together = 200;

// All tokens, a batch at a time, each begun together with the other processes.
void race(const std::string& socket, std::uint8_t number, Count* accepted, Count* arrived,
          Count& replays) {
  Claimer claimer(socket);
  const ClaimId mine{std::byte{number}, std::byte{1}};
  for (std::size_t from = 0; from < tokens; from += together) {
    auto& here = arrived[from / together];
    for (++here; here < processes;) usleep(100);
    std::size_t answers = 0;
    for (auto i = from; i < from + together; ++i) {
      claimer.session().claim(redis_epoch, location(i), mine, std::chrono::steady_clock::now(),
                              [&, i](Verdict verdict, Doubt) {
                                ++answers;
                                if (verdict == Verdict::fresh) ++accepted[i];
                                if (verdict == Verdict::replay) ++replays;
                              });
    }
    if (!claimer.driver().until([&] { return answers == together; }, 60s)) _exit(1);
  }
}

}  // namespace

TEST_SUITE("redis") {
  TEST_CASE("promise 13: 8 processes race in Redis for 10,000 tokens, each is accepted once") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    auto* accepted = shared(tokens);
    auto* arrived = shared(tokens / together);
    auto* replays = shared(1);
    std::vector<pid_t> children;
    for (std::size_t p = 0; p < processes; ++p) {
      const auto pid = fork();
      REQUIRE(pid >= 0);
      if (pid == 0) {
        race(redis.socket(), static_cast<std::uint8_t>(p), accepted, arrived, *replays);
        _exit(0);
      }
      children.push_back(pid);
    }
    for (const auto pid : children) {
      int status = 0;
      REQUIRE(waitpid(pid, &status, 0) == pid);
      CHECK(status == 0);
    }

    std::size_t once = 0;
    for (std::size_t i = 0; i < tokens; ++i) once += accepted[i] == 1 ? 1 : 0;
    CHECK(once == tokens);
    CHECK(*replays == tokens * (processes - 1));
  }

  TEST_CASE("promise 13: a retry of one request is fresh again, another request is a replay") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer a(redis.socket()), b(redis.socket());
    CHECK(a.ask(location(1), me) == fresh);
    CHECK(a.ask(location(1), me) == fresh);
    CHECK(b.ask(location(1), me) == fresh);
    CHECK(b.ask(location(1), other) == replay);
    CHECK(a.ask(location(1), other) == replay);
    CHECK(a.ask(location(1), me) == fresh);
  }

  TEST_CASE("promise 13: Redis killed and restarted empty lets nothing pass") {
    RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer kept(redis.socket());
    spend(redis, 20);

    redis.kill();
    CHECK(kept.ask(location(1), other).first == Verdict::unknown);
    redis.start();

    check_nothing_passes(redis);
  }

  TEST_CASE("promise 13: FLUSHALL lets nothing pass, also in a connection that stays") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer kept(redis.socket());
    spend(redis, 20);

    REQUIRE(redis.ask({"FLUSHALL"}) == "OK");

    CHECK(kept.ask(location(1), other) == no_sentinel);
    check_nothing_passes(redis);
  }

  TEST_CASE("promise 13: a Redis that sleeps is unknown in time, and forgets nothing") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket(), {50ms});
    // a busy machine may need more than 50 ms
    REQUIRE(support::wait_until([&] { return claimer.ask(location(1)) == fresh; }, 20s));
    redis.busy_with({"DEBUG", "SLEEP", "2"});

    const auto began = std::chrono::steady_clock::now();
    const auto answer = claimer.ask(location(2));
    const auto took = std::chrono::steady_clock::now() - began;

    CHECK(answer == Answer{Verdict::unknown, Doubt::late});
    CHECK(took >= 50ms);
    CHECK(took < 5s);
    CHECK(claimer.session().outstanding() == 1);
    CHECK(claimer.driver().until([&] { return claimer.session().outstanding() == 0; }));
    // it was recorded, though nobody knew
    Claimer later(redis.socket());
    CHECK(later.ask(location(2), other) == replay);
    CHECK(later.ask(location(2), me) == fresh);
  }

  TEST_CASE("promise 13: with its memory full Redis evicts nothing, and what is new is unknown") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    spend(redis, 20);
    Claimer claimer(redis.socket());

    REQUIRE(redis.ask({"CONFIG", "SET", "maxmemory", "1mb"}) == "OK");

    for (std::uint64_t i = 0; i < 40; ++i) {
      const auto verdict = claimer.ask(location(i), other);
      CHECK((verdict == replay || verdict == Answer{Verdict::unknown, Doubt::error}));
    }
    CHECK(claimer.ask(location(99)) == Answer{Verdict::unknown, Doubt::error});
    CHECK(claimer.session().last_error().starts_with("OOM"));
    REQUIRE(redis.ask({"CONFIG", "SET", "maxmemory", "0"}) == "OK");
    for (std::uint64_t i = 0; i < 20; ++i) CHECK(claimer.ask(location(i), other) == replay);
    CHECK(claimer.ask(location(99)) == fresh);
  }

  TEST_CASE("promise 13: restarted with its append-only file, it is another Redis") {
    RealRedis redis({"--appendonly", "yes", "--appendfsync", "always"});
    REQUIRE(make_sentinel(redis.socket()) == "");
    spend(redis, 20);

    redis.kill();
    redis.start();

    REQUIRE(redis.ask({"EXISTS", sentinel_key(redis_epoch)}) == "1");  // it kept everything
    check_nothing_passes(redis);
  }

  TEST_CASE(
      "promise 13: a replica that lacks the last writes is no master, and none when promoted") {
    const RealRedis replica;
    RealRedis master;
    REQUIRE(replica.ask({"REPLICAOF", "NO", "ONE"}) == "OK");
    // replication needs a port
    const auto port = std::to_string(support::unused_port());
    REQUIRE(master.ask({"CONFIG", "SET", "port", port}) == "OK");
    REQUIRE(replica.ask({"REPLICAOF", "127.0.0.1", port}) == "OK");
    const auto in_sync = [](const RealRedis& server) {
      return support::wait_until(
          [&] { return server.ask({"ROLE"}).find("connected") != std::string::npos; }, 20s);
    };
    REQUIRE(in_sync(replica));
    REQUIRE(make_sentinel(master.socket()) == "");
    Claimer kept(master.socket());
    CHECK(kept.ask(location(0)) == fresh);
    REQUIRE(support::wait_until(
        [&] {
          return replica.ask({"EXISTS", sentinel_key(redis_epoch)}) == "1";
        },
        20s));

    // as a replica, it is refused
    Claimer claimer(replica.socket());
    CHECK(claimer.session().why().find("replica") != std::string::npos);
    CHECK(claimer.ask(location(0), other).first == Verdict::unknown);

    // promoted, without what the master records from now on
    REQUIRE(replica.ask({"REPLICAOF", "NO", "ONE"}) == "OK");
    CHECK(kept.ask(location(1)) == fresh);
    check_nothing_passes(replica);

    // the old master follows the new one, loses that record, and becomes master again: its
    // run id is the one of the sentinel, and so is the sentinel
    const auto new_port = std::to_string(support::unused_port());
    REQUIRE(replica.ask({"CONFIG", "SET", "port", new_port}) == "OK");
    REQUIRE(master.ask({"REPLICAOF", "127.0.0.1", new_port}) == "OK");
    REQUIRE(in_sync(master));
    REQUIRE(master.ask({"REPLICAOF", "NO", "ONE"}) == "OK");
    REQUIRE(master.ask({"EXISTS", sentinel_key(redis_epoch)}) == "1");
    check_nothing_passes(master);
    // who stayed connected all the time finds out within a second
    CHECK(kept.driver().until([&] { return !kept.session().ready(); }, 5s));
    CHECK(kept.session().why().find("replication id") != std::string::npos);
    CHECK(kept.ask(location(1), other).first == Verdict::unknown);
  }

  TEST_CASE("promise 13: a Redis that would evict is refused, also when it is told to later") {
    const RealRedis redis({"--maxmemory-policy", "volatile-lru"});
    CHECK(make_sentinel(redis.socket()).find("maxmemory-policy is volatile-lru") !=
          std::string::npos);
    Claimer refused(redis.socket());
    CHECK(refused.session().why().find("set it to noeviction") != std::string::npos);
    CHECK(refused.ask(location(1)) == Answer{Verdict::unknown, Doubt::unconnected});

    REQUIRE(redis.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket());
    CHECK(claimer.ask(location(1)) == fresh);
    REQUIRE(redis.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-random"}) == "OK");
    CHECK(claimer.driver().until([&] { return !claimer.session().ready(); }, 5s));
    CHECK(claimer.ask(location(2)) == Answer{Verdict::unknown, Doubt::unconnected});
  }

  TEST_CASE("promise 13: who reckons with other buckets, or another sentinel, gets nothing") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket());
    CHECK(claimer.ask(location(1)) == fresh);
    auto wider = redis_epoch, later = redis_epoch, foreign = redis_epoch, elsewhere = redis_epoch;
    wider.capacity *= 2;
    later.id[0] = std::byte{8};
    foreign.random[0] = std::byte{8};
    elsewhere.pool = "mail";
    for (const auto& epoch : {wider, later, foreign, elsewhere}) {
      CHECK(claimer.ask(location(1), other, epoch) == no_sentinel);
    }
  }

  TEST_CASE("promise 13: what is in the place of the sentinel or of a bucket is an error") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket());
    const auto bucket =
        key_prefix(redis_epoch) + std::to_string(bucket_of(location(1), buckets_of(redis_epoch)));
    REQUIRE(redis.ask({"SET", bucket, "x"}) == "OK");
    CHECK(claimer.ask(location(1)) == Answer{Verdict::unknown, Doubt::error});
    REQUIRE(redis.ask({"DEL", sentinel_key(redis_epoch), bucket}) == "2");
    REQUIRE(redis.ask({"RPUSH", sentinel_key(redis_epoch), "x"}) == "1");
    CHECK(claimer.ask(location(1)) == Answer{Verdict::unknown, Doubt::error});
  }

  TEST_CASE("a script that Redis has forgotten is told to it again, and the claim with it") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket());
    for (std::uint64_t i = 0; i < 3; ++i) {
      REQUIRE(redis.ask({"SCRIPT", "FLUSH"}) == "OK");
      CHECK(claimer.ask(location(i)) == fresh);
      CHECK(claimer.ask(location(i), other) == replay);
    }
  }

  TEST_CASE("a full bucket is one piece of memory, and outlives its sentinel by an hour") {
    const RealRedis redis;
    auto small = redis_epoch;
    small.capacity = bucket_entries;
    const auto until = in_a_day();
    REQUIRE(make_sentinel(redis.socket(), small, until) == "");
    Claimer claimer(redis.socket());
    for (std::uint64_t i = 0; i < 2 * bucket_entries; ++i) {
      CHECK(claimer.ask(location(i), me, small) == fresh);
    }
    const auto bucket = key_prefix(small) + "0";
    CHECK(redis.ask({"HLEN", bucket}) == std::to_string(2 * bucket_entries));
    CHECK(redis.ask({"OBJECT", "ENCODING", bucket}) == "listpack");
    const auto sentinel_ends = std::stoll(redis.ask({"EXPIRETIME", sentinel_key(small)}));
    CHECK(sentinel_ends == (until + 1h).time_since_epoch().count());
    CHECK(std::abs(std::stoll(redis.ask({"EXPIRETIME", bucket})) - sentinel_ends - 3600) <= 1);
    // a later claim moves nothing
    REQUIRE(redis.ask({"EXPIRE", bucket, "1000000"}) == "1");
    CHECK(claimer.ask(location(1000), me, small) == fresh);
    CHECK(std::stoll(redis.ask({"TTL", bucket})) > 900'000);
  }

  TEST_CASE("promise 13: while an epoch's record ends under load, nothing is accepted twice") {
    const RealRedis redis;
    REQUIRE(make_sentinel(redis.socket()) == "");
    constexpr std::size_t count = 300;
    std::array<std::atomic<int>, count> accepted{};
    std::atomic<std::size_t> known{count / 3};  // tokens that there are so far
    std::atomic<int> unknown{0};
    std::atomic<bool> over{false};
    const auto taken = [&](std::size_t from, std::size_t to) {
      return std::count_if(accepted.begin() + from, accepted.begin() + to,
                           [](const auto& times) { return times > 0; });
    };
    {
      std::vector<std::jthread> clients;
      for (std::uint8_t number = 1; number <= 4; ++number) {
        clients.emplace_back([&, number] {
          Claimer claimer(redis.socket());
          for (std::uint32_t request = 0; !over; ++request) {
            ClaimId id{std::byte{number}};
            std::memcpy(id.data() + 1, &request, sizeof request);
            for (std::size_t i = 0; i < known && !over; ++i) {
              const auto verdict = claimer.claim(i, id);
              if (verdict == Verdict::fresh) ++accepted[i];
              if (verdict == Verdict::unknown) ++unknown;
            }
          }
        });
      }
      CHECK(support::wait_until([&] { return taken(0, count / 3) == count / 3; }, 20s));
      REQUIRE(redis.ask({"PEXPIRE", sentinel_key(redis_epoch), "500"}) == "1");
      known = 2 * count / 3;  // these come while it ends, the others after it
      CHECK(support::wait_until([&] { return unknown > 0; }, 20s));
      known = count;
      std::this_thread::sleep_for(300ms);
      redis.ask({"FLUSHALL"});  // an hour later its buckets end too
      std::this_thread::sleep_for(300ms);
      over = true;
    }
    CHECK(std::ranges::max_element(accepted)->load() == 1);
    CHECK(taken(2 * count / 3, count) == 0);
  }

  TEST_CASE("a node of a Redis Cluster takes all that a claim touches") {
    const auto port = support::unused_port();
    const RealRedis redis({"--port", std::to_string(port), "--bind", "127.0.0.1",
                           "--cluster-enabled", "yes", "--cluster-port",
                           std::to_string(support::unused_port())});
    REQUIRE(redis.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}) == "OK");
    REQUIRE(support::wait_until(
        [&] {
          return redis.ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos;
        },
        20s));
    REQUIRE(make_sentinel(redis.socket()) == "");
    Claimer claimer(redis.socket());
    for (std::uint64_t i = 0; i < 200; ++i) CHECK(claimer.ask(location(i)) == fresh);
    for (std::uint64_t i = 0; i < 200; ++i) CHECK(claimer.ask(location(i), other) == replay);
  }
}

TEST_SUITE("redis sentinels") {
  TEST_CASE("a sentinel is made once, and again only as the same") {
    const RealRedis redis;
    CHECK(make_sentinel(redis.socket()) == "");
    CHECK(make_sentinel(redis.socket()) == "");
    auto foreign = redis_epoch;
    foreign.random[0] = std::byte{8};
    CHECK(make_sentinel(redis.socket(), foreign).find("another keyd") != std::string::npos);
    CHECK(Claimer(redis.socket()).ask(location(1)) == fresh);
  }

  TEST_CASE("promise 13: an epoch is lost, and said to be, when its record may be") {
    struct {
      std::string what;
      std::function<void(RealRedis&)> fault;
      const char* why;
    } const faults[] = {
        {"emptied", [](RealRedis& redis) { redis.ask({"FLUSHALL"}); }, "gone"},
        {"restarted",
         [](RealRedis& redis) {
           redis.kill();
           redis.start();
         },
         "restarted"},
        {"told to evict",
         [](RealRedis& redis) {
           redis.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
         },
         "noeviction"},
        {"made a replica",
         [](RealRedis& redis) {
           redis.ask({"REPLICAOF", "127.0.0.1", "1"});
         },
         "replica"},
        {"given another sentinel",
         [](RealRedis& redis) {
           redis.ask({"SET", sentinel_key(redis_epoch), "x"});
         },
         "restarted"},
    };
    for (const auto& fault : faults) {
      CAPTURE(fault.what);
      RealRedis redis({"--appendonly", "yes"});
      std::vector<std::string> lost;
      RedisSentinels sentinels({}, [&](const RedisEpoch& epoch, const std::string& why) {
        CHECK(epoch == redis_epoch);
        lost.push_back(why);
      });
      std::optional<std::string> made;
      auto driver = std::make_unique<samples::Driver>(sentinels, redis.socket());
      REQUIRE(driver->until([&] { return sentinels.ready(); }));
      sentinels.make(redis_epoch, in_a_day(), [&](const std::string& error) { made = error; });
      REQUIRE(driver->until([&] { return made.has_value(); }));
      REQUIRE(*made == "");
      CHECK_FALSE(driver->until([&] { return !lost.empty(); }, 1500ms));

      fault.fault(redis);

      driver->until([&] { return !lost.empty() || !sentinels.open(); }, 5s);
      if (lost.empty()) {
        driver.reset();
        driver = std::make_unique<samples::Driver>(sentinels, redis.socket());
      }
      CHECK(driver->until([&] { return !lost.empty(); }, 5s));
      CHECK_FALSE(driver->until([&] { return lost.size() > 1; }, 1500ms));
      REQUIRE(lost.size() == 1);
      CHECK(lost[0].find(fault.why) != std::string::npos);
    }
  }

  TEST_CASE("a Redis that is not reached has lost nothing yet") {
    RealRedis redis;
    std::vector<std::string> lost;
    RedisSentinels sentinels({}, [&](const auto&, const auto& why) { lost.push_back(why); });
    sentinels.watch(redis_epoch);
    REQUIRE(make_sentinel(redis.socket()) == "");
    {
      samples::Driver driver(sentinels, redis.socket());
      CHECK_FALSE(driver.until([&] { return !lost.empty(); }, 1500ms));
      CHECK(sentinels.ready());
    }
    { samples::Driver driver(sentinels, redis.socket() + "x"); }
    CHECK(lost.empty());
    samples::Driver driver(sentinels, redis.socket());
    CHECK_FALSE(driver.until([&] { return !lost.empty(); }, 1500ms));
  }
}

}  // namespace ticket::replay
