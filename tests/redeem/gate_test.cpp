#include "redeem/gate.hpp"

#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "redeem/old_tables.hpp"
#include "redeem/pool.hpp"
#include "support/process.hpp"

using namespace samples;
using redeem::Answer;
using redeem::Gate;
using redeem::Outcome;
using replay::Verdict;

namespace {

const Moment ahead(noon - 60s);  // when tables are made
const Moment now(noon + 60s);

// A pool whose record is this host's table, with one epoch from noon on.
struct Host {
  explicit Host(std::vector<TokenType> types = {TokenType::blind_rsa}) : pool({}, types) {
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, tables(), ahead);
    gate = pool.gate(tables(), now);
  }
  std::filesystem::path tables() const { return folder / "web.spent"; }
  Outcome redeem(const Bytes& token, std::string_view origin = "a.test", Moment when = now) const {
    const auto answer = gate->check(token::write_authorization(token), origin, when);
    CHECK_FALSE(answer.claim.has_value());
    return answer.outcome;
  }

  support::TempFolder folder;
  TokenPool pool;
  std::unique_ptr<Gate> gate;
};

// Files of this process grow no larger while it lives.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t size) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{size, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// Hosts that share a record: what they claim is asked of one table that stands for it.
struct SharedHost {
  SharedHost(const TokenPool& pool, const std::filesystem::path& tables)
      : gate(pool.gate(tables, now)) {}
  Answer check(const Bytes& token) const {
    return gate->check(token::write_authorization(token), "a.test", now);
  }
  std::unique_ptr<Gate> gate;
};

}  // namespace

TEST_SUITE("gate") {
  TEST_CASE("promise 13: a token of either type passes once, at any origin of its pool") {
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const Host host({type});
      const auto token = host.pool.token(0, type);
      CHECK(host.redeem(token, "b.test") == Outcome::ok);
      CHECK(host.redeem(token, "b.test") == Outcome::replay);
      CHECK(host.redeem(token, "a.test") == Outcome::replay);
      CHECK(host.redeem(host.pool.token(0, type)) == Outcome::ok);
    }
  }

  TEST_CASE("promise 13: another process of the host, and a later one, know what was spent") {
    const Host host;
    const auto token = host.pool.token();
    const auto other = host.pool.gate(host.tables(), now);
    REQUIRE(host.redeem(token) == Outcome::ok);
    CHECK(other->check_token(token, "a.test", now).outcome == Outcome::replay);
    const auto later = host.pool.gate(host.tables(), now);
    CHECK(later->check_token(token, "a.test", now).outcome == Outcome::replay);
  }

  TEST_CASE("each reason why a token is not taken has its name, and records nothing") {
    const Host host;
    const auto token = host.pool.token();
    auto stranger = host.pool.token();
    stranger[66] ^= std::byte{1};  // the key's id
    const Moment last(noon + 2h - 1s), over(noon + 2h), early(noon - 1s);
    TokenPool foreign({}, {TokenType::blind_rsa}, 9);
    foreign.add_epoch(1, noon);

    CHECK(host.redeem(token, "c.test") == Outcome::wrong_audience);
    CHECK(host.redeem(token, "A.test") == Outcome::wrong_audience);
    CHECK(host.redeem(token, "") == Outcome::wrong_audience);
    CHECK(host.redeem(foreign.token()) == Outcome::wrong_audience);
    CHECK(host.redeem(host.pool.token(), "a.test", early) == Outcome::early);
    CHECK(host.redeem(token, "a.test", over) == Outcome::expired);
    CHECK(host.redeem(stranger) == Outcome::unknown_key);
    for (const std::size_t at : {std::size_t{2}, token.size() - 1}) {  // nonce, authenticator
      CHECK(host.redeem(flipped(token, at)) == Outcome::invalid);
    }
    CHECK(host.gate->table(host.pool.block.epochs[0].id)->load() == 0);
    CHECK(host.redeem(token, "a.test", last) == Outcome::ok);
  }

  TEST_CASE("a header that is none, of any size, is malformed or missing") {
    const Host host;
    const auto header = token::write_authorization(host.pool.token());
    const struct {
      std::string value;
      Outcome outcome;
    } cases[] = {
        {"", Outcome::missing},
        {"Basic dXNlcjpwYXNz", Outcome::missing},
        {"Bearer " + std::string(100, 'x'), Outcome::missing},
        {"PrivateToken", Outcome::malformed},
        {"PrivateToken token=", Outcome::malformed},
        {"PrivateToken token=\"\"", Outcome::malformed},
        {"PrivateToken token=\"AA==\"", Outcome::malformed},
        {header + ", token=\"AA==\"", Outcome::malformed},
        {header + ", " + header, Outcome::malformed},
        {"PrivateToken token=\"" + std::string(100'000, 'A') + "\"", Outcome::malformed},
        {std::string(100'000, ','), Outcome::malformed},
        {"PrivateToken token=\"" + base64url_padded(Bytes(354, std::byte{7})) + "\"",
         Outcome::wrong_audience},  // of a type that nobody asked for
    };
    for (const auto& wrong : cases) {
      CAPTURE(wrong.value.substr(0, 60));
      CHECK(host.gate->check(wrong.value, "a.test", now).outcome == wrong.outcome);
    }
    const auto token = host.pool.token();
    for (std::size_t size = 0; size < token.size(); ++size) {
      const auto outcome =
          host.gate->check_token(BytesView(token).first(size), "a.test", now).outcome;
      CHECK(outcome == Outcome::malformed);
    }
  }

  TEST_CASE("promise 13: a replay is refused before any public-key work") {
    const Host host;
    const auto token = host.pool.token();
    REQUIRE(host.redeem(token) == Outcome::ok);
    // its authenticator is garbage now: who verified first would call it invalid
    CHECK(host.redeem(flipped(token, token.size() - 1)) == Outcome::replay);
  }

  TEST_CASE("tokens of all epochs that redeem are taken, each in its own table") {
    support::TempFolder folder;
    TokenPool pool;
    for (std::uint32_t n = 1; n <= 3; ++n) pool.add_epoch(n, noon + (n - 1) * 1h);
    make_old_tables(pool.block, folder.path(), ahead);
    const Moment second(noon + 90min);
    const auto gate = pool.gate(folder.path(), second);
    CHECK(gate->check_token(pool.token(0), "a.test", second).outcome == Outcome::ok);
    CHECK(gate->check_token(pool.token(1), "a.test", second).outcome == Outcome::ok);
    CHECK(gate->check_token(pool.token(2), "a.test", second).outcome == Outcome::early);
    CHECK(gate->table(pool.block.epochs[0].id) != gate->table(pool.block.epochs[1].id));
  }

  TEST_CASE("only the member that redeems has the record; others cannot tell") {
    const Host host;
    const auto other = host.pool.gate(host.tables(), now, nullptr, here + 1);
    CHECK(other->check_token(host.pool.token(), "a.test", now).outcome == Outcome::unknown);
    CHECK(other->trouble(now) ==
          "tokens are redeemed by member 7 alone, whose table is the record; this host is "
          "member 8");
    CHECK(host.gate->trouble(now) == "");
    auto nobody = std::make_unique<TokenPool>();
    nobody->add_epoch(1, noon);
    nobody->block.redeemer = 0;
    CHECK(nobody->gate(host.tables(), now)->check_token(host.pool.token(), "a.test", now).outcome ==
          Outcome::unknown);
  }
}

TEST_SUITE("gate: tables") {
  TEST_CASE("a gate makes no table: without one nothing passes, until somebody makes it") {
    support::TempFolder folder;
    TokenPool pool;
    pool.add_epoch(1, noon);
    const auto path = redeem::table_path(folder.path(), pool.block.epochs[0]);
    const auto gate = pool.gate(folder.path(), ahead);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(gate->check_token(pool.token(), "a.test", now).outcome == Outcome::unknown);
    CHECK(gate->trouble(now) == "token epoch 1: replay table " + path.string() +
                                    " is not there: the host's agent makes it, is it running?");

    make_old_tables(pool.block, folder.path(), ahead);
    gate->tend(now);
    CHECK(gate->trouble(now) == "");
    CHECK(gate->check_token(pool.token(), "a.test", now).outcome == Outcome::ok);
  }

  TEST_CASE("promise 13: a table that was made too late lets nothing pass, and says so") {
    support::TempFolder folder;
    TokenPool pool;
    pool.add_epoch(1, noon);
    redeem::make_tables(pool.block, folder.path(), now);
    const auto gate = pool.gate(folder.path(), now);
    CHECK(gate->check_token(pool.token(), "a.test", now).outcome == Outcome::unknown);
    CHECK(gate->trouble(now).find("younger than its epoch") != std::string::npos);
  }

  TEST_CASE("promise 13: a table that was removed and made anew forgets nothing") {
    const Host host;
    const auto token = host.pool.token();
    REQUIRE(host.redeem(token) == Outcome::ok);
    std::filesystem::remove(redeem::table_path(host.tables(), host.pool.block.epochs[0]));
    host.gate->tend(now);
    CHECK(host.redeem(token) == Outcome::unknown);
    redeem::make_tables(host.pool.block, host.tables(), now);
    host.gate->tend(now);
    CHECK(host.redeem(token) == Outcome::unknown);
    CHECK(host.redeem(host.pool.token()) == Outcome::unknown);
  }

  TEST_CASE("a table made anew before its epoch begins is taken up") {
    support::TempFolder folder;
    TokenPool pool;
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, folder.path(), ahead);
    const auto gate = pool.gate(folder.path(), ahead);
    std::filesystem::remove(redeem::table_path(folder.path(), pool.block.epochs[0]));
    make_old_tables(pool.block, folder.path(), ahead);
    gate->tend(ahead);
    gate->tend(now);
    CHECK(gate->check_token(pool.token(), "a.test", now).outcome == Outcome::ok);
  }

  TEST_CASE("a gate of the next block takes open tables over") {
    const Host host;
    const auto* table = host.gate->table(host.pool.block.epochs[0].id).get();
    const auto next = host.pool.gate(host.tables(), now, host.gate.get());
    CHECK(next->table(host.pool.block.epochs[0].id).get() == table);
    const auto elsewhere = host.pool.gate(host.folder / "other", now, host.gate.get());
    CHECK(elsewhere->table(host.pool.block.epochs[0].id) == nullptr);
  }

  TEST_CASE("what is over goes, by the clock alone: keys, table, tokens") {
    const Host host;
    const auto id = host.pool.block.epochs[0].id;
    REQUIRE(host.gate->table(id) != nullptr);
    const std::weak_ptr<replay::Table> table = host.gate->table(id);
    host.gate->tend(Moment(noon + 2h));
    CHECK(table.expired());
    CHECK(host.redeem(host.pool.token(), "a.test", now) == Outcome::wrong_audience);
    CHECK(host.gate->trouble(Moment(noon + 2h)) == "no epoch of tokens has begun, or all are over");
  }

  TEST_CASE("tables come with their epochs and go with them; other files stay") {
    support::TempFolder folder;
    const auto tables = folder / "web.spent";
    TokenPool pool;
    pool.add_epoch(1, noon);
    pool.add_epoch(2, noon + 1h);
    make_old_tables(pool.block, tables, ahead);
    const auto first = redeem::table_path(tables, pool.block.epochs[0]);
    const auto second = redeem::table_path(tables, pool.block.epochs[1]);
    CHECK(first.filename().string() == "1-0100" + hex(Bytes(14, std::byte{1})) + ".spent");
    auto mapped = replay::Table::find(first, {pool.block.epochs[0].id, noon}, ahead);
    REQUIRE(mapped.has_value());
    REQUIRE(mapped->tend(now) == replay::TableState::ok);
    for (const auto* name : {"README", "x-00.spent", "1-00.spent", "1-01.txt"}) {
      std::ofstream(tables / name) << "mine";
    }

    pool.block.epochs.erase(pool.block.epochs.begin());
    redeem::make_tables(pool.block, tables, now);

    CHECK_FALSE(std::filesystem::exists(first));
    CHECK(std::filesystem::exists(second));
    CHECK(mapped->state() == replay::TableState::closed);
    for (const auto* name : {"README", "x-00.spent", "1-00.spent", "1-01.txt"}) {
      CHECK(std::filesystem::exists(tables / name));
    }
    redeem::make_tables(pool.block, tables, Moment(noon + 3h));  // the block's last is over
    CHECK_FALSE(std::filesystem::exists(second));
  }

  TEST_CASE("tables that are over go first, and one without room keeps no other from being made") {
    support::TempFolder folder;
    TokenPool before, pool;
    before.add_epoch(1, noon);
    make_old_tables(before.block, folder.path(), ahead);
    const auto old = redeem::table_path(folder.path(), before.block.epochs[0]);
    REQUIRE(std::filesystem::exists(old));
    pool.add_epoch(2, noon);
    pool.add_epoch(3, noon + 1h);
    pool.block.epochs[0].capacity = 1'000'000;
    const auto large = redeem::table_path(folder.path(), pool.block.epochs[0]);
    const auto small = redeem::table_path(folder.path(), pool.block.epochs[1]);
    {
      const SmallDisk disk(1 << 20);
      try {
        redeem::make_tables(pool.block, folder.path(), ahead);
        FAIL("there was room");
      } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()).find(large.string()) != std::string::npos);
      }
    }
    CHECK_FALSE(std::filesystem::exists(old));
    CHECK_FALSE(std::filesystem::exists(large));
    CHECK(std::filesystem::exists(small));

    redeem::make_tables(pool.block, folder.path(), ahead);
    CHECK(std::filesystem::exists(large));
  }

  TEST_CASE("a table that is damaged is left alone and named") {
    support::TempFolder folder;
    TokenPool pool;
    pool.add_epoch(1, noon);
    const auto path = redeem::table_path(folder.path(), pool.block.epochs[0]);
    std::ofstream(path) << std::string(200, 'x');
    make_old_tables(pool.block, folder.path(), ahead);
    const auto gate = pool.gate(folder.path(), now);
    CHECK(gate->trouble(now) ==
          "token epoch 1: replay table " + path.string() + ": not a replay table");
    CHECK(gate->check_token(pool.token(), "a.test", now).outcome == Outcome::unknown);
  }
}

TEST_SUITE("gate: a record that hosts share") {
  TEST_CASE("promise 13: what the record says decides, and is noted at home") {
    support::TempFolder folder;
    TokenPool pool(wire::TokenRecord::redis);
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, folder / "one", ahead);
    make_old_tables(pool.block, folder / "two", ahead);
    const SharedHost one(pool, folder / "one"), two(pool, folder / "two");
    const auto token = pool.token();

    const auto first = one.check(token), second = two.check(token), again = one.check(token);
    REQUIRE(first.claim.has_value());
    REQUIRE(second.claim.has_value());
    CHECK(first.claim->epoch == pool.block.epochs[0].id);
    CHECK(first.claim->location == second.claim->location);
    CHECK(first.claim->id != second.claim->id);
    CHECK(first.claim->id != again.claim->id);

    CHECK(one.gate->settle(*first.claim, Verdict::fresh) == Outcome::ok);
    CHECK(two.gate->settle(*second.claim, Verdict::replay) == Outcome::replay);
    for (const auto* host : {&one, &two}) {
      const auto later = host->check(token);
      CHECK_FALSE(later.claim.has_value());
      CHECK(later.outcome == Outcome::replay);
    }
  }

  TEST_CASE("what cannot be told is noted nowhere") {
    support::TempFolder folder;
    TokenPool pool(wire::TokenRecord::redis);
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, folder.path(), ahead);
    const SharedHost host(pool, folder.path());
    const auto token = pool.token();
    CHECK(host.gate->settle(*host.check(token).claim, Verdict::unknown) == Outcome::unknown);
    CHECK(host.gate->settle(*host.check(token).claim, Verdict::fresh) == Outcome::ok);
  }

  TEST_CASE("without tables every token is asked for, and nothing is amiss") {
    support::TempFolder folder;
    TokenPool pool(wire::TokenRecord::redis);
    pool.block.redeemer = 0;
    pool.add_epoch(1, noon);
    const SharedHost host(pool, folder / "none");
    const auto token = pool.token();
    CHECK(host.gate->trouble(now) == "");
    for (const auto verdict : {Verdict::fresh, Verdict::replay}) {
      const auto answer = host.check(token);
      REQUIRE(answer.claim.has_value());
      CHECK(host.gate->settle(*answer.claim, verdict) == redeem::outcome_of(verdict));
    }
  }

  TEST_CASE("nothing is claimed for what is not genuine") {
    TokenPool pool(wire::TokenRecord::redis);
    support::TempFolder folder;
    pool.add_epoch(1, noon);
    const SharedHost host(pool, folder.path());
    const auto answer = host.check(flipped(pool.token(), 3));
    CHECK(answer.outcome == Outcome::invalid);
    CHECK_FALSE(answer.claim.has_value());
  }

  TEST_CASE("claims go over the socket and come back") {
    redeem::Claim claim;
    claim.epoch.fill(std::byte{1});
    claim.location.fill(std::byte{2});
    claim.id.fill(std::byte{3});
    CHECK(redeem::from_wire(redeem::to_wire(claim, 9)) == claim);
    CHECK(redeem::to_wire(claim, 9).number == 9);
    for (const auto verdict : {Verdict::fresh, Verdict::replay, Verdict::unknown}) {
      CHECK(redeem::from_wire(redeem::to_wire(verdict)) == verdict);
    }
  }
}

TEST_SUITE("gate: challenges") {
  TEST_CASE("a client is asked for a token of the epoch that issues, and such a token passes") {
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const Host host({type});
      const auto value = host.gate->challenge("a.test", now);
      const auto challenges = token::parse_authenticate(value);
      REQUIRE(challenges.has_value());
      REQUIRE(challenges->size() == 1);
      const auto& asked = challenges->front();
      CHECK(asked.token_key == issuer_key(type).public_key().bytes);
      CHECK(asked.max_age == 2h - 60s);
      CHECK(host.redeem(token_by(issuer_key(type), asked.challenge)) == Outcome::ok);
      // of a key that travels to redeemers, nothing but its public half is told
      CHECK(value.find(base64url_padded(issuer_key(type).secret().expose())) == std::string::npos);
    }
  }

  TEST_CASE("each moment of an epoch's life") {
    const Host host;
    const struct {
      std::chrono::seconds after;
      bool asked, taken;
    } moments[] = {{-1s, false, false}, {0s, true, true},       {1h - 1s, true, true},
                   {1h, false, true},   {2h - 1s, false, true}, {2h, false, false}};
    for (const auto& moment : moments) {
      CAPTURE(moment.after.count());
      const Moment then(noon + moment.after);
      CHECK(host.gate->challenge("a.test", then).empty() == !moment.asked);
      CHECK((host.redeem(host.pool.token(), "a.test", then) == Outcome::ok) == moment.taken);
    }
  }

  TEST_CASE("nobody is asked for tokens of a name that the pool's are not for") {
    const Host host;
    CHECK(host.gate->challenge("c.test", now).empty());
    CHECK(host.gate->knows("b.test"));
    CHECK_FALSE(host.gate->knows("c.test"));
  }

  TEST_CASE("a pool without names has tokens for every origin") {
    support::TempFolder folder;
    TokenPool pool;
    pool.block.origin_info = "";
    pool.add_epoch(1, noon);
    make_old_tables(pool.block, folder.path(), ahead);
    const auto gate = pool.gate(folder.path(), now);
    CHECK_FALSE(gate->challenge("whatever.test", now).empty());
    CHECK(gate->check_token(pool.token(), "whatever.test", now).outcome == Outcome::ok);
  }
}

TEST_SUITE("gate: blocks that no gate takes") {
  TEST_CASE("a key that is none, one challenge for two epochs, a name that cannot be") {
    support::TempFolder folder;
    const auto made = [&](auto change) {
      TokenPool pool;
      pool.add_epoch(1, noon);
      pool.add_epoch(2, noon + 1h);
      change(pool.block);
      return Gate::make(pool.block, here, folder.path(), now);
    };
    const Bytes zeros(342), ones(32, std::byte{0xff});
    CHECK(made([](auto&) {}).has_value());
    CHECK(made([&](auto& block) { block.epochs[0].blind_rsa = zeros; }).error() ==
          Rejection::bad_key);
    CHECK(made([&](auto& block) { block.epochs[0].ristretto = ones; }).error() ==
          Rejection::bad_key);
    CHECK(made([](auto& block) { block.epochs[1].context = block.epochs[0].context; }).error() ==
          Rejection::malformed);
    CHECK(made([](auto& block) { block.epochs[1].id = block.epochs[0].id; }).error() ==
          Rejection::malformed);
    CHECK(made([](auto& block) { block.issuer = "is\nsuer"; }).error() == Rejection::malformed);
    CHECK(made([](auto& block) { block.ristretto_type = 2; }).error() == Rejection::malformed);
  }

  TEST_CASE("an epoch without keys, or ended before it began, is left out") {
    support::TempFolder folder;
    TokenPool pool;
    pool.add_epoch(1, noon);
    pool.add_epoch(2, noon);
    pool.block.epochs[0].blind_rsa = {};
    pool.block.epochs[1].redeems_until = noon;
    const auto gate = pool.gate(folder.path(), now);
    CHECK(gate->challenge("a.test", now).empty());
    CHECK(gate->check_token(pool.token(1), "a.test", now).outcome == Outcome::wrong_audience);
  }
}
