// Claims against answers that the test makes up.
#include "replay/redis_claims.hpp"

#include <doctest/doctest.h>

#include "redis_samples.hpp"

namespace ticket::replay {

namespace {

using namespace std::chrono_literals;
using samples::Answer;
using samples::location;
using samples::me;
using samples::redis_epoch;

const Instant start{1000s};
const std::string id_a(40, 'a'), id_b(40, 'b'), sha(40, 'c');

std::string text(const std::string& value) {
  return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
}
std::string pair(const std::string& name, const std::string& value) {
  return "*2\r\n" + text(name) + text(value);
}

// What a Redis says of itself.
struct Told {
  std::string run_id = id_a, replication_id = id_b, role = "master", policy = "noeviction";
  std::string append_only = "yes", fsync = "always";
};
std::string greeting(const Told& told = {}) {
  return text("# Server\r\nrun_id:" + told.run_id + "\r\n") +
         text("role:" + told.role + "\r\nmaster_replid:" + told.replication_id + "\r\n") +
         pair("maxmemory-policy", told.policy) + pair("appendonly", told.append_only) +
         pair("appendfsync", told.fsync) + "*0\r\n";
}

// A session with made-up answers, and what became of the claims in it.
struct Talk {
  explicit Talk(const RedisOptions& options = {50ms}, const Told& told = {}) : claims(options) {
    claims.connected(start);
    say(greeting(told));
    if (claims.ready()) say(text(sha));
    claims.output().clear();
  }
  void say(const std::string& bytes, Instant at = start) { claims.received(as_bytes(bytes), at); }
  void claim(std::uint64_t number, Instant at = start) {
    const auto index = answers.size();
    answers.emplace_back();
    claims.claim(redis_epoch, location(number), me, at, [this, index](Verdict v, Doubt d) {
      CHECK_FALSE(answers[index].has_value());  // once
      answers[index] = {v, d};
    });
  }

  RedisClaims claims;
  std::vector<std::optional<Answer>> answers;
};

const Answer fresh{Verdict::fresh, Doubt::none}, replay{Verdict::replay, Doubt::none};
Answer unknown(Doubt doubt) { return {Verdict::unknown, doubt}; }

}  // namespace

TEST_SUITE("redis claims") {
  TEST_CASE("answers come in the order of the claims, for what they say") {
    Talk talk;
    REQUIRE(talk.claims.takes_claims());
    for (std::uint64_t i = 0; i < 5; ++i) talk.claim(i);
    CHECK(talk.claims.output().find("EVALSHA") != std::string::npos);
    CHECK(talk.claims.output().find(id_a + ":" + id_b + ":104:0900") != std::string::npos);

    talk.say(":0\r\n:1\r\n:-1\r\n-OOM no\nmemory\r\n");

    CHECK(talk.answers[0] == fresh);
    CHECK(talk.answers[1] == replay);
    CHECK(talk.answers[2] == unknown(Doubt::sentinel));
    CHECK(talk.answers[3] == unknown(Doubt::error));
    CHECK(talk.claims.last_error() == "OOM no?memory");
    CHECK_FALSE(talk.answers[4].has_value());
    talk.claims.disconnected("x");
    CHECK(talk.answers[4] == unknown(Doubt::ended));
  }

  TEST_CASE("a claim that has no answer in time is unknown, and a late answer changes nothing") {
    Talk talk;
    talk.claim(0);
    talk.claim(1, start + 20ms);
    talk.claims.tend(start + 49ms);
    CHECK_FALSE(talk.answers[0].has_value());
    talk.claims.tend(start + 50ms);
    CHECK(talk.answers[0] == unknown(Doubt::late));
    CHECK_FALSE(talk.answers[1].has_value());

    talk.say(":0\r\n:1\r\n", start + 60ms);

    CHECK(talk.answers[0] == unknown(Doubt::late));
    CHECK(talk.answers[1] == replay);
    CHECK(talk.claims.outstanding() == 0);
    talk.claims.tend(start + 500ms);
    CHECK(talk.claims.ready());
  }

  TEST_CASE("a Redis that is silent for long is given up") {
    Talk talk;
    talk.claim(0);
    talk.claims.tend(start + 5s);
    CHECK(talk.claims.open());
    talk.claims.tend(start + 6s);
    CHECK_FALSE(talk.claims.open());
    CHECK(talk.claims.why() == "it has not answered for 5 s");
  }

  TEST_CASE("before a Redis has said what it is, and after it ended, nothing is asked") {
    RedisClaims claims;
    std::vector<Answer> answers;
    const auto claim = [&] {
      claims.claim(redis_epoch, location(1), me, start,
                   [&](Verdict v, Doubt d) { answers.emplace_back(v, d); });
    };
    claim();
    claims.connected(start);
    claim();
    claims.received(as_bytes(greeting()), start);
    claim();
    claims.received(as_bytes(text(sha)), start);
    claims.disconnected("x");
    claim();
    CHECK(answers == std::vector<Answer>(4, unknown(Doubt::unconnected)));
    CHECK(claims.why() == "x");
  }

  TEST_CASE("claims and bytes that wait are bounded") {
    Talk talk({50ms, false, 100});
    for (std::uint64_t i = 0; i < 101; ++i) talk.claim(i);
    CHECK_FALSE(talk.answers[99].has_value());
    CHECK(talk.answers[100] == unknown(Doubt::full));
    // those that are late still wait for their answers
    talk.claims.tend(start + 1s);
    talk.claim(101, start + 1s);
    CHECK(talk.answers[101] == unknown(Doubt::full));

    Talk large({50ms, false, 1'000'000});
    while (large.answers.empty() || !large.answers.back().has_value()) large.claim(1);
    CHECK(large.answers.back() == unknown(Doubt::full));
    CHECK(large.claims.output().size() < RedisSession::max_output + 1000);
  }

  TEST_CASE("a script that was forgotten is loaded once, and claims are made once more") {
    Talk talk;
    talk.claim(0);
    talk.claim(1);
    talk.claims.output().clear();
    talk.say("-NOSCRIPT No matching script.\r\n-NOSCRIPT No\r\n");
    const auto& out = talk.claims.output();
    CHECK(out.find("LOAD") != std::string::npos);
    CHECK(out.find("LOAD") == out.rfind("LOAD"));
    CHECK_FALSE(talk.answers[0].has_value());

    talk.say(text(sha) + ":0\r\n-NOSCRIPT No\r\n");

    CHECK(talk.answers[0] == fresh);
    CHECK(talk.answers[1] == unknown(Doubt::error));
    CHECK(talk.claims.takes_claims());
  }

  TEST_CASE("what makes no sense ends the connection, and what was asked is unknown") {
    for (const std::string bad : {":2\r\n", ":-2\r\n", "+OK\r\n", "$1\r\n0\r\n", "$-1\r\n",
                                  "*1\r\n$1\r\n0\r\n", "*-1\r\n", "0\r\n", "HTTP/1.1 200 OK\r\n"}) {
      CAPTURE(bad);
      Talk talk;
      talk.claim(0);
      talk.claim(1);
      talk.say(bad + ":0\r\n:0\r\n");
      CHECK_FALSE(talk.claims.open());
      CHECK(talk.answers[0] == unknown(Doubt::ended));
      CHECK(talk.answers[1] == unknown(Doubt::ended));
    }
    Talk talk;
    talk.say(":0\r\n");
    CHECK(talk.claims.why() == "it answered what nobody asked");
  }

  TEST_CASE("every truncation: what was not answered is unknown") {
    const auto whole = greeting() + text(sha) + ":0\r\n:1\r\n:-1\r\n-ERR x\r\n:0\r\n";
    const auto before = (greeting() + text(sha)).size();
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      RedisClaims claims;
      std::vector<Answer> answers;
      claims.connected(start);
      claims.received(as_bytes(std::string_view(whole).substr(0, std::min(size, before))), start);
      for (std::uint64_t i = 0; i < 5; ++i) {
        claims.claim(redis_epoch, location(i), me, start,
                     [&](Verdict v, Doubt d) { answers.emplace_back(v, d); });
      }
      if (size > before) {
        claims.received(as_bytes(std::string_view(whole).substr(before, size - before)), start);
      }
      claims.disconnected("cut");
      REQUIRE(answers.size() == 5);
      const auto freshes = std::ranges::count(answers, fresh);
      CHECK(freshes == (size >= before + 4 ? 1 : 0));
    }
  }

  TEST_CASE("every flipped bit beside the verdicts: nothing becomes fresh") {
    const auto hello = greeting() + text(sha);
    const std::string verdicts = ":1\r\n:-1\r\n-ERR x\r\n:1\r\n:1\r\n";
    for (std::size_t at = 0; at < hello.size() + verdicts.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        CAPTURE(at);
        CAPTURE(bit);
        auto all = hello + verdicts;
        all[at] = static_cast<char>(all[at] ^ 1 << bit);
        if (at >= hello.size() && std::string_view("01").find(all[at]) != std::string::npos)
          continue;
        RedisClaims claims;
        int answers = 0, freshes = 0;
        claims.connected(start);
        claims.received(as_bytes(all.substr(0, hello.size())), start);
        for (std::uint64_t i = 0; i < 5; ++i) {
          claims.claim(redis_epoch, location(i), me, start, [&](Verdict verdict, Doubt) {
            ++answers;
            freshes += verdict == Verdict::fresh ? 1 : 0;
          });
        }
        claims.received(as_bytes(all.substr(hello.size())), start);
        claims.disconnected("over");
        CHECK(answers == 5);
        CHECK(freshes == 0);
      }
    }
  }

  TEST_CASE("a Redis that may not keep the record is refused in words that help") {
    // clang-format off
    const struct { Told told; bool durable; const char* why; } refusals[] = {
        {{.policy = "allkeys-lru"},       false, "set it to noeviction"},
        {{.policy = "volatile-ttl"},      false, "set it to noeviction"},
        {{.policy = ""},                  false, "allow CONFIG GET"},
        {{.role = "slave"},               false, "address of the master"},
        {{.run_id = "short"},             false, "no run id"},
        {{.replication_id = ""},          false, "no run id"},
        {{.append_only = "no"},           true,  "redis_durable wants appendonly yes"},
        {{.fsync = "everysec"},           true,  "appendfsync is everysec"},
        {{.append_only = "no"},           false, ""},
        {{},                              true,  ""},
    };
    // clang-format on
    for (const auto& refusal : refusals) {
      CAPTURE(refusal.why);
      Talk talk({50ms, refusal.durable}, refusal.told);
      CHECK(talk.claims.takes_claims() == (*refusal.why == 0));
      CHECK(talk.claims.why().find(refusal.why) != std::string::npos);
    }
    RedisClaims claims;
    claims.connected(start);
    claims.received(as_bytes(std::string("-NOAUTH Authentication required.\r\n-NOAUTH x\r\n"
                                         "-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n")),
                    start);
    CHECK_FALSE(claims.open());
    CHECK(claims.why().find("NOAUTH") != std::string::npos);
  }

  TEST_CASE("what is not always synced, or takes much memory, is warned of") {
    replay::RedisServer server;
    server.append_only = true;
    server.append_fsync = "always";
    server.listpack_entries = 512;
    server.listpack_value = 64;
    CHECK(warnings(server).empty());
    server.append_fsync = "everysec";
    REQUIRE(warnings(server).size() == 1);
    CHECK(warnings(server)[0].find("a crash loses what was spent last") != std::string::npos);
    read_config(server, {"hash-max-listpack-entries", "128", "hash-max-listpack-value", "64"});
    REQUIRE(warnings(server).size() == 2);
    CHECK(warnings(server)[1].find("below 160") != std::string::npos);
    read_config(server, {"hash-max-ziplist-entries", "512", "hash-max-ziplist-value", "8", "odd"});
    REQUIRE(warnings(server).size() == 2);
    CHECK(warnings(server)[1].find("below 16") != std::string::npos);
  }

  TEST_CASE("another Redis under the same connection ends it at the next look") {
    for (const auto& other : {Told{.run_id = id_b}, Told{.replication_id = id_a},
                              Told{.role = "slave"}, Told{.policy = "allkeys-lfu"}}) {
      Talk talk;
      talk.claims.tend(start + 999ms);
      CHECK(talk.claims.output().empty());
      talk.claims.tend(start + 1s);
      CHECK(talk.claims.output().find("INFO") != std::string::npos);
      talk.claim(0, start + 1s);
      talk.say(greeting(other) + ":0\r\n", start + 1s);
      CHECK_FALSE(talk.claims.open());
      CHECK(talk.answers[0] == unknown(Doubt::ended));
    }
    Talk talk;
    talk.claims.tend(start + 1s);
    talk.claim(0, start + 1s);
    talk.say(greeting() + ":0\r\n", start + 1s);
    CHECK(talk.answers[0] == fresh);
  }

  TEST_CASE("who is told a verdict may claim, or end the connection, at once") {
    Talk talk;
    int told = 0;
    const auto now = start;
    std::function<void(Verdict, Doubt)> again = [&](Verdict, Doubt) {
      if (++told < 3) talk.claims.claim(redis_epoch, location(9), me, now, again);
    };
    talk.claims.claim(redis_epoch, location(9), me, now, again);
    talk.say(":0\r\n");
    talk.say(":0\r\n");
    talk.claims.tend(start + 50ms);
    CHECK(told == 3);

    talk.claims.claim(redis_epoch, location(9), me, now,
                      [&](Verdict, Doubt) { talk.claims.disconnected("enough"); });
    talk.claim(1);
    talk.say(":0\r\n:0\r\n:0\r\n:0\r\n");
    CHECK(talk.answers[0] == unknown(Doubt::ended));
    CHECK(talk.claims.why() == "enough");
  }

  TEST_CASE("locations spread over all buckets, and the table's fingerprint is the field") {
    auto epoch = redis_epoch;
    epoch.capacity = 96 * 100;
    REQUIRE(buckets_of(epoch) == 100);
    std::vector<int> counts(100);
    for (std::uint64_t i = 0; i < 10'000; ++i) ++counts.at(bucket_of(location(i), 100));
    for (const auto count : counts) CHECK((count > 50 && count < 160));
    Location last;
    last.fill(std::byte{0xff});
    CHECK(bucket_of(last, 100) == 99);
    CHECK(bucket_of({}, 100) == 0);
    epoch.capacity = 1;
    CHECK(buckets_of(epoch) == 1);
    CHECK(sentinel_key(epoch) == "{tkt:web}:07000000000000000000000000000000:s");
    CHECK(field_of(last) == std::string(8, '\xff'));
  }
}

}  // namespace ticket::replay
