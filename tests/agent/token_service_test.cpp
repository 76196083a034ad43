#include "token_service.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <deque>

#include "redeem/old_tables.hpp"
#include "redeem/pool.hpp"
#include "support/process.hpp"
#include "support/rings.hpp"

using namespace ticket;
using keyd::TokenService;
using redeem::Outcome;
using replay::Verdict;
using samples::TokenPool;
using token::TokenType;
using namespace std::chrono_literals;

namespace {

const auto begins = samples::noon;

// A record that answers as it is told, at once or later.
struct FakeRecord : keyd::SharedRecord {
  struct Asked {
    replay::RedisEpoch epoch;
    replay::Location location;
    replay::ClaimId id;
    Done done;
  };
  void claim(const replay::RedisEpoch& epoch, const replay::Location& location,
             const replay::ClaimId& id, Done done) override {
    ++count;
    if (at_once) return done(verdict);
    asked.push_back({epoch, location, id, std::move(done)});
  }
  keyd::RedisSight sight() const override { return {}; }
  // As RedisClaimer does.
  ~FakeRecord() override {
    for (auto& one : asked) one.done(Verdict::unknown);
  }

  bool at_once = true;
  Verdict verdict = Verdict::fresh;
  std::deque<Asked> asked;
  int count = 0;
};

// A service for the pool `web`, on a ring that the test turns.
struct Host {
  explicit Host(wire::TokenRecord record = wire::TokenRecord::table, bool has_record = true)
      : pool(record, {TokenType::ristretto}) {
    pool.add_epoch(1, begins);
    auto settings = this->settings();
    if (has_record && record == wire::TokenRecord::redis) {
      auto fake = std::make_unique<FakeRecord>();
      shared = fake.get();
      settings.shared = std::move(fake);
    }
    service = std::make_unique<TokenService>(std::move(settings), clock);
  }
  TokenService::Settings settings() {
    TokenService::Settings settings;
    settings.pool = "web";
    settings.tables = folder / "web.spent";
    settings.log = [this](auto, const std::string& text) { log += text + "\n"; };
    return settings;
  }
  // The agent's next life.
  void begin_again() { service = std::make_unique<TokenService>(settings(), clock); }

  void follow(std::uint16_t member = samples::here) {
    auto ring = test::ring_of(test::hourly(1, 1, begins), 1, member);
    ring.tokens = wire::write_token_block(pool.block);
    ring.issued_at = issued;
    service->follow(&ring);
  }
  // Announced an hour ahead, and begun. By boot time the tables are older than this test.
  void begin() {
    clock.set(Moment(begins - 1h));
    samples::make_old_tables(pool.block, folder / "web.spent", clock.now());
    follow();
    clock.set(Moment(begins + 1s));
    follow();
  }

  std::optional<Outcome> redeem(const Bytes& token, std::string_view origin = "a.test") {
    std::optional<Outcome> told;
    const auto value = token::write_authorization(token);
    service->redeem(std::string_view(value), origin, [&told](Outcome outcome) { told = outcome; });
    return told;
  }
  Verdict claim(const wire::Claim& claim) {
    auto told = Verdict::fresh;
    service->claim(claim, [&told](Verdict verdict) { told = verdict; });
    return told;
  }
  std::uint64_t count(Outcome outcome) const {
    return service->sight().outcomes[static_cast<std::size_t>(outcome)];
  }
  std::uint64_t count(Verdict verdict) const {
    return service->sight().claims[static_cast<std::size_t>(verdict)];
  }
  std::size_t tables() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder / "web.spent"))
      ++count;
    return count;
  }

  test::TempFolder folder;
  test::TestClock clock{begins - 1h};
  TokenPool pool;
  sys_seconds issued = begins - 2h;  // the ring
  std::string log;
  FakeRecord* shared = nullptr;
  std::unique_ptr<TokenService> service;
};

wire::Claim claim_of(const TokenPool& pool, std::uint8_t place, std::uint8_t id = 1) {
  wire::Claim claim;
  claim.epoch = pool.block.epochs.at(0).id;
  claim.location.fill(std::byte{place});
  claim.id.fill(std::byte{id});
  return claim;
}

}  // namespace

TEST_SUITE("token service") {
  TEST_CASE("tables are made when an epoch is announced, and go with it") {
    Host host;
    host.follow();
    CHECK(host.tables() == 1);
    host.pool.add_epoch(2, begins + 1h);
    host.follow();
    CHECK(host.tables() == 2);

    host.pool.block.epochs.erase(host.pool.block.epochs.begin());
    host.follow();

    CHECK(host.tables() == 1);
    CHECK(std::filesystem::exists(
        redeem::table_path(host.folder / "web.spent", host.pool.block.epochs[0])));
  }

  TEST_CASE("promise 13: a token passes once, and never a second time") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);

    CHECK(host.redeem(token) == Outcome::ok);
    CHECK(host.redeem(token) == Outcome::replay);
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::ok);
    CHECK(host.count(Outcome::ok) == 2);
    CHECK(host.count(Outcome::replay) == 1);
    CHECK(host.count(Verdict::fresh) == 2);
  }

  TEST_CASE("each way in which a token is not taken is told and counted") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    CHECK(host.redeem(samples::flipped(token, token.size() - 1)) == Outcome::invalid);
    CHECK(host.redeem(token, "c.test") == Outcome::wrong_audience);
    CHECK(host.redeem({}) == Outcome::malformed);
    host.service->redeem(std::nullopt, "a.test",
                         [](Outcome outcome) { CHECK(outcome == Outcome::missing); });
    CHECK(host.count(Outcome::missing) == 1);
    CHECK(host.count(Outcome::ok) == 0);
    for (const auto* why :
         {"token for a.test not taken: invalid\n", "token for c.test not taken: wrong_audience\n",
          "token for a.test not taken: malformed\n", "token for a.test not taken: missing\n"}) {
      CAPTURE(why);
      CHECK(host.log.find(why) != std::string::npos);
    }
    CHECK(host.redeem(token) == Outcome::ok);  // what was refused was not spent
  }

  TEST_CASE("before its epoch a token is early, after it expired, and the record is gone") {
    Host host;
    host.follow();
    const auto token = host.pool.token(0, TokenType::ristretto);
    CHECK(host.redeem(token) == Outcome::early);
    host.clock.set(Moment(begins + 2h));
    host.follow();
    CHECK(host.redeem(token) != Outcome::ok);
    CHECK(host.tables() == 0);
  }

  TEST_CASE("promise 13: a table made after its epoch began lets nothing pass") {
    Host host;
    host.clock.set(Moment(begins + 1s));
    host.follow();
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::unknown);
    CHECK(host.log.find("younger than its epoch") != std::string::npos);
  }

  TEST_CASE("promise 13: a clock behind the ring's makes no table of before the epoch") {
    struct {
      seconds issued;  // after the epoch began
      Outcome outcome;
    } const rings[] = {{-10min, Outcome::ok}, {10min, Outcome::unknown}};
    for (const auto& ring : rings) {
      CAPTURE(ring.issued.count());
      Host host;
      host.issued = begins + ring.issued;
      host.clock.set(Moment(begins - 1h));  // after a restart in the midst of the epoch
      host.follow();
      samples::age_tables(host.pool.block, host.folder / "web.spent");
      host.begin_again();
      host.clock.set(Moment(begins + 1s));
      host.follow();
      CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == ring.outcome);
    }
  }

  TEST_CASE("promise 13: a table that was removed lets nothing pass") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    REQUIRE(host.redeem(token) == Outcome::ok);

    std::filesystem::remove_all(host.folder / "web.spent");
    host.follow();
    host.follow();

    CHECK(host.redeem(token) == Outcome::unknown);
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::unknown);
  }

  TEST_CASE("what an agent spent its next life knows") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    REQUIRE(host.redeem(token) == Outcome::ok);

    host.begin_again();
    CHECK(host.redeem(token) == Outcome::unknown);  // it has not looked at the ring yet
    host.follow();
    CHECK(host.redeem(token) == Outcome::replay);
  }

  TEST_CASE("another member's tokens are not redeemed here") {
    Host host;
    host.clock.set(Moment(begins - 1h));
    host.follow(3);
    host.clock.set(Moment(begins + 1s));
    host.follow(3);
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::unknown);
    CHECK(host.claim(claim_of(host.pool, 1)) == Verdict::unknown);
    CHECK(host.log.find("redeemed by member 7 alone") != std::string::npos);
  }

  TEST_CASE("a claim over the socket and a redemption here meet in one table") {
    Host host;
    host.begin();
    CHECK(host.claim(claim_of(host.pool, 1)) == Verdict::fresh);
    CHECK(host.claim(claim_of(host.pool, 1)) == Verdict::replay);
    CHECK(host.claim(claim_of(host.pool, 2)) == Verdict::fresh);
    auto other = claim_of(host.pool, 3);
    other.epoch.fill(std::byte{0x77});
    CHECK(host.claim(other) == Verdict::unknown);
    CHECK(host.count(Verdict::fresh) == 2);
    CHECK(host.count(Verdict::replay) == 1);
    CHECK(host.count(Verdict::unknown) == 1);
  }

  TEST_CASE("where hosts share the record its verdict decides, and is kept here") {
    Host host(wire::TokenRecord::redis);
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    host.shared->verdict = Verdict::replay;
    CHECK(host.redeem(token) == Outcome::replay);
    CHECK(host.shared->count == 1);
    host.shared->verdict = Verdict::fresh;
    CHECK(host.redeem(token) == Outcome::replay);  // known here: nobody is asked again
    CHECK(host.shared->count == 1);
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::ok);
    CHECK(host.shared->count == 2);
  }

  TEST_CASE("promise 13: what a shared record cannot tell passes nowhere, and is no replay") {
    Host host(wire::TokenRecord::redis);
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    host.shared->verdict = Verdict::unknown;
    CHECK(host.redeem(token) == Outcome::unknown);
    CHECK(host.claim(claim_of(host.pool, 1)) == Verdict::unknown);
    host.shared->verdict = Verdict::fresh;
    CHECK(host.redeem(token) == Outcome::ok);
    CHECK(host.claim(claim_of(host.pool, 1)) == Verdict::fresh);
  }

  TEST_CASE("promise 13: a record that says fresh twice is not believed the second time") {
    Host host(wire::TokenRecord::redis);
    host.begin();
    host.shared->at_once = false;
    const auto token = host.pool.token(0, TokenType::ristretto);
    std::vector<Outcome> told;
    const auto value = token::write_authorization(token);
    for (int i = 0; i < 2; ++i) {
      host.service->redeem(std::string_view(value), "a.test",
                           [&told](Outcome outcome) { told.push_back(outcome); });
    }
    REQUIRE(host.shared->asked.size() == 2);
    CHECK(host.shared->asked[0].id != host.shared->asked[1].id);

    for (auto& asked : std::exchange(host.shared->asked, {})) asked.done(Verdict::fresh);

    CHECK(told == std::vector<Outcome>{Outcome::ok, Outcome::replay});
  }

  TEST_CASE("the shared record is asked about the epoch as the block has it") {
    Host host(wire::TokenRecord::redis);
    host.pool.block.epochs[0].sentinel.fill(std::byte{0x5e});
    host.begin();
    host.shared->at_once = false;
    const auto claim = claim_of(host.pool, 9, 4);
    host.service->claim(claim, [](Verdict) {});

    REQUIRE(host.shared->asked.size() == 1);
    const auto& asked = host.shared->asked[0];
    CHECK(asked.epoch.pool == "web");
    CHECK(asked.epoch.id == claim.epoch);
    CHECK(asked.epoch.random == host.pool.block.epochs[0].sentinel);
    CHECK(asked.epoch.capacity == host.pool.block.epochs[0].capacity);
    CHECK(asked.location == claim.location);
    CHECK(asked.id == claim.id);
  }

  TEST_CASE("a pool whose record is Redis where none is named lets nothing pass, and says so") {
    Host host(wire::TokenRecord::redis, false);
    host.begin();
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::unknown);
    CHECK(host.log.find("agent.toml names none") != std::string::npos);
    CHECK_FALSE(host.service->sight().trouble.empty());
  }

  TEST_CASE("what waits for the shared record when the service ends is answered: unknown") {
    Host host(wire::TokenRecord::redis);
    host.begin();
    host.shared->at_once = false;
    std::optional<Outcome> told;
    const auto value = token::write_authorization(host.pool.token(0, TokenType::ristretto));
    host.service->redeem(std::string_view(value), "a.test",
                         [&told](Outcome outcome) { told = outcome; });
    CHECK_FALSE(told.has_value());
    host.service.reset();
    CHECK(told == Outcome::unknown);
  }

  TEST_CASE("a ring without tokens, or with a block that is none, lets nothing pass") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    auto ring = test::ring_of(test::hourly(1, 1, begins), 1, samples::here);
    host.service->follow(&ring);
    CHECK(host.redeem(token) == Outcome::unknown);
    CHECK(host.service->challenge("a.test").empty());
    ring.tokens = SecretBytes::copy_of(as_bytes("no block"));
    host.service->follow(&ring);
    CHECK(host.redeem(token) == Outcome::unknown);
    host.service->follow(nullptr);
    CHECK(host.redeem(token) == Outcome::unknown);
    host.follow();
    CHECK(host.redeem(token) == Outcome::ok);
    CHECK_FALSE(host.service->challenge("a.test").empty());
    CHECK(host.service->challenge("c.test").empty());
  }

  TEST_CASE("tables that cannot be made are told, and made when they can be") {
    Host host;
    support::write_text(host.folder / "web.spent", "a file in its place");
    host.follow();
    CHECK_FALSE(host.service->sight().trouble.empty());
    std::filesystem::remove(host.folder / "web.spent");
    host.begin();
    CHECK(host.redeem(host.pool.token(0, TokenType::ristretto)) == Outcome::ok);
    CHECK(host.service->sight().trouble.empty());
  }

  TEST_CASE("promise 12: no token and no place of one stands in the log") {
    Host host;
    host.begin();
    const auto token = host.pool.token(0, TokenType::ristretto);
    for (int i = 0; i < 2; ++i) static_cast<void>(host.redeem(token));
    REQUIRE(host.log.find("replay") != std::string::npos);
    const auto value = token::write_authorization(token);
    CHECK(host.log.find(value.substr(30, 20)) == std::string::npos);
  }
}
