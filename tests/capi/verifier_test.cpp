// tkt_verifier_*: tokens through the C door.
#include <sys/wait.h>
#include <ticket/ticket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "redeem/claims_server.hpp"
#include "redeem/old_tables.hpp"
#include "redeem/pool.hpp"
#include "ring/counters.hpp"
#include "support/rings.hpp"

namespace {

using namespace samples;
using Mood = ClaimsServer::Mood;

// A host with a ring file, tables and a clock that the test turns.
class Host {
 public:
  explicit Host(wire::TokenRecord record, std::uint32_t timeout = 0,
                sys_seconds opened = noon + 60s)
      : time(opened), pool(record) {
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, folder / "web.spent", Moment(noon - 60s));
    publish(true);
    tkt_ring_options options{};
    const auto path = (folder / "web.ring").string();
    options.size = sizeof options;
    options.ring_path = path.c_str();
    options.no_thread = 1;
    options.log = [](void* user, tkt_log_level, const char* text) {
      static_cast<Host*>(user)->said += std::string(text) + "\n";
    };
    options.log_user = this;
    options.clock = [](void* user, std::int64_t* steady, std::int64_t* wall) {
      *steady = *wall = static_cast<Host*>(user)->time.time_since_epoch().count();
    };
    options.clock_user = this;
    REQUIRE(tkt_ring_open(&ring, &options) == TKT_OK);
    tkt_verifier_options how{};
    how.size = sizeof how;
    how.timeout = timeout;
    REQUIRE(tkt_verifier_open(&verifier, ring, &how) == TKT_OK);
  }
  ~Host() {
    tkt_verifier_free(verifier);
    tkt_ring_free(ring);
  }
  Host(const Host&) = delete;

  void publish(bool with_tokens) {
    publish(with_tokens ? wire::write_token_block(pool.block) : SecretBytes());
  }
  void publish(SecretBytes tokens) {
    auto fresh = test::ring_of({test::epoch(1, noon)}, ++generation_, here);
    fresh.tokens = std::move(tokens);
    REQUIRE(writer_.publish(fresh, time).has_value());
  }
  std::string socket() const { return folder / "web.claims"; }
  std::string header() const { return token::write_authorization(pool.token()); }
  tkt_status redeem(const std::string& value, const char* origin = "a.test") const {
    return tkt_verifier_redeem(verifier, value.data(), value.size(), origin);
  }
  tkt_verifier_counters counters() const {
    tkt_verifier_counters counters{};
    counters.size = sizeof counters;
    REQUIRE(tkt_verifier_counters_read(verifier, &counters) == TKT_OK);
    return counters;
  }

  test::TempFolder folder;
  sys_seconds time;
  std::string said;
  TokenPool pool;
  tkt_ring* ring = nullptr;
  tkt_verifier* verifier = nullptr;

 private:
  std::uint64_t generation_ = 0;
  ring::RingWriter writer_{folder / "web.ring", "web"};
};

std::string challenge(tkt_verifier* verifier, const char* origin) {
  std::size_t size = 0;
  if (tkt_verifier_challenge(verifier, origin, nullptr, &size) != TKT_BUFFER_TOO_SMALL) return "";
  std::string value(size, 'x');
  REQUIRE(tkt_verifier_challenge(verifier, origin, value.data(), &size) == TKT_OK);
  CHECK(size + 1 == value.size());
  CHECK(value.back() == '\0');
  value.resize(size);
  return value;
}

}  // namespace

TEST_SUITE("tkt_verifier") {
  TEST_CASE("promise 13: one host's token passes once, and each outcome is counted") {
    Host host(wire::TokenRecord::table);
    const auto header = host.header();
    CHECK(host.redeem(header) == TKT_OK);
    CHECK(host.redeem(header) == TKT_REPLAY);
    CHECK(host.redeem(header, "c.test") == TKT_AUDIENCE);
    CHECK(host.redeem("") == TKT_MISSING);
    CHECK(tkt_verifier_redeem(host.verifier, nullptr, 0, "a.test") == TKT_MISSING);
    CHECK(host.redeem("PrivateToken token=x") == TKT_MALFORMED);
    CHECK(host.redeem(std::string(100'000, 'x')) == TKT_MALFORMED);
    const auto token = host.pool.token();
    CHECK(host.redeem(token::write_authorization(flipped(token, 3))) == TKT_FORGED);
    CHECK(host.redeem(token::write_authorization(flipped(token, 70))) == TKT_UNKNOWN_KEY);
    host.time = noon + 2h;
    CHECK(host.redeem(host.header()) == TKT_AUDIENCE);  // its keys are gone
    const auto counters = host.counters();
    CHECK(counters.ok == 1);
    CHECK(counters.replay == 1);
    CHECK(counters.wrong_audience == 2);
    CHECK(counters.missing == 2);
    CHECK(counters.malformed == 2);
    CHECK(counters.invalid == 1);
    CHECK(counters.unknown_key == 1);
    CHECK(counters.unknown == 0);
  }

  TEST_CASE("a client is told what to come back with, and comes back with it") {
    Host host(wire::TokenRecord::table);
    const auto value = challenge(host.verifier, "a.test");
    const auto asked = token::parse_authenticate(value);
    REQUIRE(asked.has_value());
    REQUIRE(asked->size() == 1);
    const auto token = token_by(issuer_key(TokenType::blind_rsa), asked->front().challenge);
    CHECK(host.redeem(token::write_authorization(token)) == TKT_OK);

    std::size_t size = 10;
    char small[10] = "untouched";
    CHECK(tkt_verifier_challenge(host.verifier, "a.test", small, &size) == TKT_BUFFER_TOO_SMALL);
    CHECK(std::string(small) == "untouched");
    CHECK(size == value.size() + 1);
    std::string tight(value.size(), 'x');  // no room for the end
    size = tight.size();
    CHECK(tkt_verifier_challenge(host.verifier, "a.test", tight.data(), &size) ==
          TKT_BUFFER_TOO_SMALL);
    CHECK(tkt_verifier_challenge(host.verifier, "c.test", small, &size) == TKT_UNKNOWN);
    CHECK(size == 0);
    host.time = noon + 1h;
    CHECK(challenge(host.verifier, "a.test").empty());
  }

  TEST_CASE("promise 13: two hosts that share a record let one token pass once") {
    Record record;
    constexpr std::uint32_t patience = 10'000;  // ms; a busy machine is no fault here
    Host one(wire::TokenRecord::redis, patience);
    const Host two(wire::TokenRecord::redis, patience);
    const ClaimsServer of_one(one.socket(), record), of_two(two.socket(), record);
    for (int i = 0; i < 20; ++i) {
      const auto header = one.header();
      tkt_status at_two = TKT_OK;
      std::jthread other([&] { at_two = two.redeem(header); });
      const auto at_one = one.redeem(header);
      other.join();
      CHECK((at_one == TKT_OK) != (at_two == TKT_OK));
      CHECK((at_one == TKT_REPLAY) != (at_two == TKT_REPLAY));
      const int asked = of_one.asked();
      CHECK(one.redeem(header) == TKT_REPLAY);
      CHECK(of_one.asked() == asked);  // known at home
    }
    CHECK(of_one.connections() == 1);
  }

  TEST_CASE("a server that does not wait asks the agent itself") {
    Host host(wire::TokenRecord::redis);
    const auto header = host.header();
    unsigned char claim[TKT_CLAIM_SIZE], other[TKT_CLAIM_SIZE];
    const auto check = [&](unsigned char* out) {
      return tkt_verifier_check(host.verifier, header.data(), header.size(), "a.test", out);
    };
    REQUIRE(check(claim) == TKT_CLAIM);
    REQUIRE(check(other) == TKT_CLAIM);
    CHECK(std::memcmp(claim, other, 4) != 0);
    CHECK(host.counters().ok == 0);

    unsigned char answer[TKT_CLAIM_ANSWER_SIZE] = {claim[0], claim[1], claim[2], claim[3], 0};
    CHECK(tkt_verifier_settle(host.verifier, other, answer) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_settle(host.verifier, other, nullptr) == TKT_UNKNOWN);
    CHECK(tkt_verifier_settle(host.verifier, claim, answer) == TKT_OK);
    CHECK(check(claim) == TKT_REPLAY);
    CHECK(host.counters().ok == 1);
    CHECK(host.counters().unknown == 1);
    std::memcpy(answer, other, 4);
    answer[4] = 9;  // no verdict
    CHECK(tkt_verifier_settle(host.verifier, other, answer) == TKT_UNKNOWN);
    answer[4] = 1;
    CHECK(tkt_verifier_settle(host.verifier, other, answer) == TKT_REPLAY);
  }

  TEST_CASE("an agent that is gone, silent or garbled is no reason to let a token pass") {
    Record record;
    const Host host(wire::TokenRecord::redis, 150);
    // 150 ms is short for a busy machine: one of these is taken in time
    std::vector<std::string> headers(20);
    std::ranges::generate(headers, [&] { return host.header(); });
    const auto redeemed = [&](const std::string& header) { return host.redeem(header) == TKT_OK; };
    for (const auto& header : headers) CHECK(host.redeem(header) == TKT_UNKNOWN);  // nobody there
    {
      ClaimsServer agent(host.socket(), record);
      for (const auto mood : {Mood::silent, Mood::unknowing, Mood::garbled, Mood::confused}) {
        agent.be(mood);
        const auto begun = std::chrono::steady_clock::now();
        CHECK(host.redeem(host.header()) == TKT_UNKNOWN);
        const auto took = std::chrono::steady_clock::now() - begun;
        CHECK(took < 2s);
        if (mood == Mood::silent) CHECK(took >= 150ms);  // as long as it was told to
      }
      agent.be(Mood::honest);
      CHECK(std::ranges::any_of(headers, redeemed));
    }
    CHECK(host.redeem(host.header()) == TKT_UNKNOWN);
    // another agent, another socket, behind the connection that was kept
    const ClaimsServer again(host.socket(), record);
    std::ranges::generate(headers, [&] { return host.header(); });
    CHECK(std::ranges::any_of(headers, redeemed));
  }

  TEST_CASE("an agent that was restarted is asked behind the connection that was kept") {
    Record record;
    const Host host(wire::TokenRecord::redis, 1000);
    {
      const ClaimsServer agent(host.socket(), record);
      REQUIRE(host.redeem(host.header()) == TKT_OK);
    }
    const ClaimsServer next(host.socket(), record);
    CHECK(host.redeem(host.header()) == TKT_OK);
  }

  TEST_CASE("promise 13: a table that is no longer in its place lets nothing pass") {
    Host host(wire::TokenRecord::table);
    const auto tables = host.folder / "web.spent", away = host.folder / "away";
    REQUIRE(host.redeem(host.header()) == TKT_OK);
    std::filesystem::rename(tables, away);
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_UNKNOWN);
    std::filesystem::rename(away, tables);
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
  }

  TEST_CASE("who opens before the epoch begins takes its tokens when it has begun") {
    Host host(wire::TokenRecord::table, 0, noon - 10s);
    CHECK(host.redeem(host.header()) == TKT_EARLY);
    host.time = noon + 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
  }

  TEST_CASE("an answer that was lost is asked for anew with the same claim") {
    Record record;
    const Host host(wire::TokenRecord::redis, 1000);
    ClaimsServer agent(host.socket(), record);
    REQUIRE(host.redeem(host.header()) == TKT_OK);
    agent.be(Mood::fickle);
    const auto before = record.size();
    std::jthread soon([&] {
      while (record.size() == before) std::this_thread::sleep_for(1ms);
      agent.be(Mood::honest);
    });
    const auto status = host.redeem(host.header());
    CHECK((status == TKT_OK || status == TKT_UNKNOWN));  // it may turn honest too late
    CHECK(record.size() == before + 1);
  }

  TEST_CASE("what changes in the ring is followed, and said once") {
    Host host(wire::TokenRecord::table);
    CHECK(host.said.find("tokens are redeemed") != std::string::npos);
    CHECK(host.redeem(host.header()) == TKT_OK);
    host.publish(false);
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_UNKNOWN);
    CHECK(host.redeem("") == TKT_MISSING);
    for (int i = 0; i < 3; ++i) REQUIRE(tkt_ring_tend(host.ring, nullptr) == TKT_OK);
    CHECK(challenge(host.verifier, "a.test").empty());
    host.publish(true);
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
    const std::string text = "no token passes: the pool has no tokens";
    const auto first = host.said.find(text);
    REQUIRE(first != std::string::npos);
    CHECK(host.said.find(text, first + 1) == std::string::npos);
  }

  TEST_CASE("tokens that are not to be used are told of, and those of before are still taken") {
    Host host(wire::TokenRecord::table);
    TokenPool twice;  // two epochs with one challenge
    twice.add_epoch(1, noon);
    twice.add_epoch(2, noon);
    twice.block.epochs[1].context = twice.block.epochs[0].context;
    host.publish(wire::write_token_block(twice.block));
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
    CHECK(host.said.find("tokens of the ring are not taken") != std::string::npos);
  }

  TEST_CASE("where the agent listens and where its tables are can be said") {
    Record record;
    Host host(wire::TokenRecord::redis);
    const auto tables = (host.folder / "tables").string(), claims = (host.folder / "ask").string();
    const ClaimsServer agent(claims, record);
    tkt_verifier_options options{};
    options.size = sizeof options;
    options.tables_path = tables.c_str();
    options.claims_path = claims.c_str();
    options.timeout = 400;
    tkt_verifier* verifier = nullptr;
    REQUIRE(tkt_verifier_open(&verifier, host.ring, &options) == TKT_OK);
    const auto redeem = [&](const std::string& value) {
      return tkt_verifier_redeem(verifier, value.data(), value.size(), "a.test");
    };
    const auto header = host.header();
    CHECK(redeem(header) == TKT_OK);
    CHECK(redeem(header) == TKT_REPLAY);
    CHECK(agent.asked() == 2);  // no table is there, so nothing was noted
    tkt_verifier_free(verifier);
  }

  TEST_CASE("a ring file that goes takes no tokens away before their time") {
    Host host(wire::TokenRecord::table);
    std::filesystem::remove(host.folder / "web.ring");
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
    host.time = noon + 2h;
    CHECK(host.redeem(host.header()) == TKT_AUDIENCE);
  }

  TEST_CASE("two verifiers of a ring both have its tokens, and one may go") {
    Host host(wire::TokenRecord::table);
    tkt_verifier* second = nullptr;
    tkt_verifier_options options{};
    options.size = sizeof options;
    REQUIRE(tkt_verifier_open(&second, host.ring, &options) == TKT_OK);
    const auto header = host.header();
    CHECK(host.redeem(header) == TKT_OK);
    CHECK(tkt_verifier_redeem(second, header.data(), header.size(), "a.test") == TKT_REPLAY);
    tkt_verifier_free(second);
    host.time += 2s;
    CHECK(host.redeem(host.header()) == TKT_OK);
  }

  TEST_CASE("what the host's servers decided stands in the counters file") {
    Host host(wire::TokenRecord::table);
    const auto path = host.folder / "web.counters";
    ring::Counters::create(path);
    CHECK(host.redeem(host.header()) == TKT_OK);
    CHECK(host.redeem("") == TKT_MISSING);
    REQUIRE(tkt_ring_tend(host.ring, nullptr) == TKT_OK);
    const auto counts = ring::Counters::sum(path);
    CHECK(counts[static_cast<std::size_t>(ring::Counter::token_ok)] == 1);
    CHECK(counts[static_cast<std::size_t>(ring::Counter::token_missing)] == 1);
    for (unsigned i = 0; i < redeem::outcome_count; ++i) {
      CHECK(std::string("token_") + redeem::to_text(static_cast<redeem::Outcome>(i)) ==
            ring::to_text(ring::token_counter(i)));
    }
  }

  TEST_CASE("a forked child tends the ring, though a thread of its parent was checking") {
    Host host(wire::TokenRecord::table);
    std::atomic<bool> stop = false;
    std::thread checking([&] {
      while (!stop) host.redeem("PrivateToken token=x");
    });
    int ended = 0;
    for (int i = 0; i < 100; ++i) {
      const auto child = fork();
      if (child == 0) {
        alarm(20);  // rather than for ever
        host.time += 2s;
        tkt_ring_tend(host.ring, nullptr);
        _exit(0);
      }
      int status = -1;
      waitpid(child, &status, 0);
      if (status == 0) ++ended;
      if (status != 0) break;
    }
    stop = true;
    checking.join();
    CHECK(ended == 100);
  }

  TEST_CASE("bad arguments change nothing") {
    Host host(wire::TokenRecord::table);
    tkt_verifier_options options{};
    auto* out = reinterpret_cast<tkt_verifier*>(&options);
    CHECK(tkt_verifier_open(&out, host.ring, &options) == TKT_BAD_ARGUMENT);  // no size
    CHECK(out == nullptr);
    options.size = sizeof options;
    CHECK(tkt_verifier_open(nullptr, host.ring, &options) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_open(&out, nullptr, &options) == TKT_BAD_ARGUMENT);
    unsigned char claim[TKT_CLAIM_SIZE] = {};
    CHECK(tkt_verifier_check(host.verifier, "x", 1, nullptr, claim) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_check(host.verifier, "x", 1, "a.test", nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_check(host.verifier, nullptr, 1, "a.test", claim) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_redeem(nullptr, "x", 1, "a.test") == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_settle(host.verifier, nullptr, nullptr) == TKT_BAD_ARGUMENT);
    std::size_t size = 1;
    CHECK(tkt_verifier_challenge(host.verifier, "a.test", nullptr, &size) == TKT_BAD_ARGUMENT);
    CHECK(tkt_verifier_challenge(host.verifier, "a.test", nullptr, nullptr) == TKT_BAD_ARGUMENT);
    tkt_verifier_counters counters{};
    CHECK(tkt_verifier_counters_read(host.verifier, &counters) == TKT_BAD_ARGUMENT);
    tkt_verifier_free(nullptr);
  }
}
