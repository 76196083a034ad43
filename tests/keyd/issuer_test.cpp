// Tokens in the authority: the lives of their keys, who gets what, what is erased when.
#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <sstream>

#include "issuer_fixture.hpp"

using namespace test;

namespace {

// A key whose private half is not its public one's, as memory that went bad would make it.
IssuerKey damaged_key() {
  const auto whole = fresh_key().secret();
  auto der = to_bytes(whole.expose());
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const PrivateKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  for (const char* name :
       {OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2}) {
    BIGNUM* value = nullptr;
    REQUIRE(EVP_PKEY_get_bn_param(key.get(), name, &value) == 1);
    Bytes number(static_cast<std::size_t>(BN_num_bytes(value)));
    BN_bn2bin(value, reinterpret_cast<unsigned char*>(number.data()));
    BN_free(value);
    const auto found = std::search(der.begin(), der.end(), number.begin(), number.end());
    REQUIRE(found != der.end());
    *std::prev(found + std::ptrdiff_t(number.size())) ^= std::byte{2};
  }
  auto damaged = IssuerKey::load(TokenType::blind_rsa, der);
  REQUIRE(damaged.has_value());
  return std::move(*damaged);
}

}  // namespace

TEST_SUITE("issuer") {
  TEST_CASE("what the keeper issues blindly is taken by who has the bundle") {
    for (const bool redis : {false, true}) {
      for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
        CAPTURE(redis);
        CAPTURE(static_cast<int>(type));
        IssuingHouse house(tokens_config(redis, true));
        house.run(31s);
        const bool batch = type == TokenType::ristretto;
        const auto withdrawal =
            house.withdrawal(type, batch ? Form::batch : Form::single, batch ? 3 : 1);

        const auto answer = house.ask(withdrawal.request(), batch);

        CHECK(answer.id == 7);
        REQUIRE(answer.status == 200);
        CHECK(answer.error.empty());
        const auto tokens = withdrawal.finish(*from_base64url(answer.body));
        REQUIRE(tokens.has_value());
        const Redeeming redeeming(house);
        for (const auto& one : *tokens) CHECK(redeeming.takes(one, house.now));
        CHECK(house.issuer_pool().at("issued") == (batch ? 3 : 1));
        const auto report = house.authority->report(house.now).pools.at(0).issuer.at(0);
        CHECK(report.issued_ristretto == (batch ? 3 : 0));
        CHECK(report.issued_blind_rsa == (batch ? 0 : 1));
      }
    }
  }

  TEST_CASE("a key that computes wrongly costs its client a 503, and nobody else anything") {
    IssuingHouse house(tokens_config(false, true));
    house.make_key = damaged_key;
    house.run(31s);

    const auto answer = house.ask(house.withdrawal().request());

    CHECK(answer.id == 7);
    CHECK(answer.status == 503);
    CHECK(answer.body.empty());
    CHECK(answer.error == "the key failed: OpenSSL failed: a signature of its own does not verify");
    CHECK(house.issuer_pool().at("issued") == 0);
    CHECK(house.ask(TokenType::ristretto) == 200);
  }

  TEST_CASE("the life of an epoch, moment by moment: what issues, what is told, what is stored") {
    struct {
      seconds from;  // after it began to issue
      const char* stored;
      const char* state;
      std::size_t directory;  // keys
      const char* when;
    } const moments[] = {
        {-1s, "LRB", "announced", 2, "its last second as announced"},
        {0s, "LRB", "issuing", 2, "it issues"},
        {23h + 1s, "LRB", "issuing", 4, "the next is announced"},
        {24h - 1s, "LRB", "issuing", 4, "its last second to issue"},
        {24h, "LR", "redeeming", 2, "what only issues is erased"},
        {48h - 1s, "LR", "redeeming", 4, "its last second to redeem"},
        {48h, "-", "", 2, "all is gone, once the member has applied that"},
    };
    for (const auto& moment : moments) {
      CAPTURE(moment.when);
      IssuingHouse house(tokens_config(false, true));
      house.follow();
      const auto begins = house.state().epochs.at(0).issues_from;
      house.run(begins - house.now + moment.from);

      CHECK(stored(house, 1) == moment.stored);
      const auto state = house.state();
      const auto* epoch = find(state, 1);
      CHECK((epoch == nullptr) == (*moment.state == '\0'));
      if (epoch != nullptr) CHECK(epoch->state(house.now) == std::string(moment.state));
      CHECK(house.directory().keys.size() == moment.directory);
      CHECK(std::ranges::count(house.in_block(), 1) == (epoch == nullptr ? 0 : 1));
      const bool issues = moment.from >= 0s;
      CHECK(house.ask() == (issues ? 200 : 404));
      CHECK(house.alarm("issuing").empty() == issues);
      CHECK(house.issuing() == (moment.from >= 48h ? 3 : moment.from >= 24h ? 2 : issues ? 1 : 0));
      const auto notice = house.newest().tokens;
      REQUIRE(notice.has_value());
      CHECK(notice->issuer == "issuer.example");
      CHECK(notice->origins == "a.test,b.test");
      CHECK(notice->epochs.back().keys.size() == 2);
    }
  }

  TEST_CASE("the directory begins with what issues, and has a time for what is announced") {
    IssuingHouse house(tokens_config(true));
    house.run(23h + 30min);
    const auto state = house.state();
    REQUIRE(state.epochs.size() == 2);
    const auto directory = house.directory();
    CHECK(directory.request_uri == "/token-request");
    REQUIRE(directory.keys.size() == 2);
    CHECK(directory.keys[0].bytes == state.epochs[0].blind_rsa);
    CHECK_FALSE(directory.keys[0].not_before.has_value());
    CHECK(directory.keys[1].bytes == state.epochs[1].blind_rsa);
    CHECK(directory.keys[1].not_before == state.epochs[1].issues_from);
    CHECK(house.said.directories.back().changes_at ==
          state.epochs[0].issues_until.time_since_epoch().count());
    CHECK(house.said.directories.back().pool == "web");

    house.run(1h);
    CHECK(house.directory().keys.front().bytes == state.epochs[1].blind_rsa);
  }

  TEST_CASE("a member that is behind holds the rest up for a minute, a dead one not at all") {
    for (const bool dead : {false, true}) {
      CAPTURE(dead);
      IssuingHouse house(tokens_config(false, true));
      const Server web2(house.ca, "web2", "ticket:member:web:web2");
      house.follow();
      REQUIRE(house.enrol(web2).status == 200);
      house.seen("web2", house.last().generation);
      const auto begins = house.state().epochs.at(0).issues_from;
      house.run(begins - house.now + 48h - 1s);
      const auto behind = house.last().generation;
      if (!dead) house.seen("web2", behind);

      house.run(1s);
      CHECK(stored(house, 1) == (dead ? "-" : "L"));
      if (dead) continue;
      // what verifies has left the bundle, its place in it has not
      const auto bytes = house.block();
      const auto told = wire::parse_token_block(bytes.expose())->epochs.at(0);
      CHECK(told.number == 1);
      CHECK(told.blind_rsa.empty());
      CHECK(told.ristretto.empty());
      CHECK(house.newest().tokens->epochs.at(0).keys.empty());
      for (int i = 0; i < 5; ++i) {
        house.run(10s);
        house.seen("web2", behind);  // it lives, and applies nothing
      }
      CHECK(stored(house, 1) == "L");
      house.run(10s);
      CHECK(stored(house, 1) == "-");
      CHECK(std::ranges::count(house.in_block(), 1) == 0);
    }
  }

  TEST_CASE("promise 9: a restart in every phase publishes the same, and issues by the same key") {
    for (const auto when : {seconds(0s), seconds(3s), seconds(1h), seconds(23h + 30min),
                            seconds(24h + 10s), seconds(47h + 30min), seconds(48h + 30s)}) {
      CAPTURE(when.count());
      IssuingHouse house(tokens_config(true, true));
      house.run(when);
      const auto before = house.last();
      const auto manifest = feed::parse_bundle(before.bundle)->manifest;
      const auto block = house.block();
      const auto issuing = house.issuing();
      const auto keys = house.directory();

      house.begin_again();

      CHECK(house.last().generation == before.generation);
      CHECK(feed::parse_bundle(house.last().bundle)->manifest == manifest);
      CHECK(to_bytes(house.block().expose()) == to_bytes(block.expose()));
      const auto count = house.said.published.size();
      house.tend();
      CHECK(house.said.published.size() == count);
      CHECK(house.issuing() == issuing);
      CHECK(house.directory() == keys);
      CHECK(house.ask() == (issuing == 0 ? 404 : 200));
    }
  }

  TEST_CASE("promise 9: killed between draft and store it loses nothing and repeats no number") {
    IssuingHouse house(tokens_config(false));
    house.run(23h);
    const auto blob = *house.store.blob;
    const auto last = house.state().last_epoch;
    std::set<std::string> told;
    for (int i = 0; i < 3; ++i) {
      house.store.asynchronous = true;
      house.run(30min);  // epoch 2 is drafted, and its store never ends
      CHECK(house.store.waiting());
      CHECK(*house.store.blob == blob);
      CHECK(house.directory().keys.size() == 1);
      house.store.asynchronous = false;
      house.now -= 30min;
      house.begin_again();
    }
    house.run(30min);
    const auto state = house.state();
    CHECK(state.last_epoch == last + 1);
    for (std::size_t i = 0; i < house.said.published.size(); ++i) {
      const auto manifest = house.manifest(i);
      for (const auto& epoch : manifest.tokens->epochs) {
        if (epoch.number == last + 1) told.insert(hex(epoch.id));
      }
    }
    CHECK(told.size() == 1);
  }

  TEST_CASE("a store that fails costs no key: the one that was made is used when it works again") {
    IssuingHouse house(tokens_config(false));
    house.run(10s);
    REQUIRE(house.authority->keys_wanted() == 0);  // one lies ready
    house.run(22h + 59min);
    house.store.problem = "No space left on device";
    house.run(2min);
    CHECK(house.authority->keys_wanted() == 0);
    CHECK(house.state().epochs.size() == 1);
    house.maker_lives = false;
    house.store.problem.clear();
    house.run(10s);
    CHECK(house.state().epochs.size() == 2);
  }

  TEST_CASE("a store that fails lets nothing issue beyond its time") {
    IssuingHouse house(tokens_config(false));
    house.run(23h + 58min);
    house.store.problem = "No space left on device";
    house.run(1min);
    const auto request = house.withdrawal().request();
    CHECK(house.ask(request).status == 200);
    house.run(2min);
    CHECK(house.ask(request).status == 503);
    CHECK_FALSE(house.alarm("issuing").empty());
    CHECK(stored(house, 1) == "LB");  // the disk still has it
    house.store.problem.clear();
    house.run(10s);
    CHECK(stored(house, 1) == "L");
  }

  TEST_CASE("requests that cannot be answered: 422 for what they are, 503 for what we are") {
    IssuingHouse house(tokens_config(false, true));
    CHECK(house.authority->issue({9, "web", "", false}, house.now).status == 503);
    CHECK(house.authority->issue({9, "web", "", false}, house.now).id == 9);
    CHECK(house.authority->issue({9, "mail", "", false}, house.now).status == 503);
    house.run(23h + 30min);
    const auto request = house.withdrawal().request();

    const auto refused = [&](BytesView bytes, bool batch, const char* why) {
      const auto answer = house.ask(bytes, batch);
      CHECK(answer.status == 422);
      CHECK(answer.body.empty());
      CHECK(answer.error == why);
    };
    for (std::size_t size = 0; size < request.size(); ++size) {
      CAPTURE(size);
      refused(BytesView(request).first(size), false, "malformed");
    }
    CHECK(house.authority->issue({9, "web", "not base64!", false}, house.now).status == 422);
    auto other = request;
    other[1] = std::byte{1};
    refused(other, false, "unsupported");
    other = request;
    other[2] ^= std::byte{1};
    const auto directory = house.directory();
    const auto announced = crypto::sha256(directory.keys.at(2).bytes).back();
    if (other[2] == announced) other[2] ^= std::byte{2};
    refused(other, false, "unknown_key");
    other[2] = announced;
    refused(other, false, "unknown_key");   // announced: not yet
    refused(request, true, "unsupported");  // no batches of blind RSA
    other = request;
    std::fill(other.begin() + 3, other.end(), std::byte{0xff});  // above the modulus
    refused(other, false, "malformed");
    CHECK(house.issuer_pool().at("issued") == 0);
    CHECK(house.ask(request).status == 200);
  }

  TEST_CASE("a key that a client could take for another one is not used") {
    IssuingHouse house(tokens_config(true));
    house.maker_lives = false;
    house.authority->add_keys({}, house.now);
    auto key = fresh_key();
    const auto copy = key.secret();
    std::vector<IssuerKey> keys;
    keys.push_back(std::move(key));
    house.authority->add_keys(std::move(keys), house.now);
    house.run(10s);
    REQUIRE(house.issuing() == 1);
    // the same one again has the same truncated id
    keys.clear();
    keys.push_back(std::move(*IssuerKey::load(TokenType::blind_rsa, copy.expose())));
    house.authority->add_keys(std::move(keys), house.now);
    house.run(23h + 30min);
    CHECK(house.state().epochs.size() == 1);
    CHECK(house.authority->keys_wanted() == 1);

    house.maker_lives = true;
    house.run(10s);
    const auto state = house.state();
    REQUIRE(state.epochs.size() == 2);
    CHECK(crypto::sha256(state.epochs[0].blind_rsa).back() !=
          crypto::sha256(state.epochs[1].blind_rsa).back());
  }

  TEST_CASE("nothing is signed beyond the second, though nobody has tended since") {
    IssuingHouse house(tokens_config(true));
    house.follow();
    const auto ends = house.state().epochs.at(0).issues_until;
    house.run(ends - 1s - house.now);
    const auto withdrawal = house.withdrawal();
    CHECK(house.ask(withdrawal.request()).status == 200);
    house.now = ends;
    CHECK(house.ask(withdrawal.request()).status != 200);
  }

  TEST_CASE("an epoch issues from its second on, though nobody has tended since") {
    for (const bool redis : {true, false}) {
      CAPTURE(redis);
      IssuingHouse house(tokens_config(redis));
      house.follow();
      const auto first = house.state().epochs.at(0);
      house.run(first.issues_from - 1s - house.now);
      REQUIRE(house.issuing() == 0);
      house.now = first.issues_from;
      CHECK(house.ask() == 200);
      CHECK(house.issuing() == 1);

      house.run(first.issues_until - 1s - house.now);
      REQUIRE(house.issuing() == 1);
      house.now = first.issues_until;
      CHECK(house.ask() == 422);  // by the directory of before
      CHECK(house.issuing() == 2);
      CHECK(house.ask() == 200);
    }
  }

  TEST_CASE("what cannot be stored issues nothing, however often it is asked for") {
    IssuingHouse house(tokens_config(true));
    house.follow();
    house.run(house.state().epochs.at(0).issues_from - 1s - house.now);
    house.now += 1s;
    house.store.problem = "No space left on device";
    const auto tried = house.store.expected_counters.size();
    for (int i = 0; i < 3; ++i) CHECK(house.ask() == 503);
    CHECK(house.store.expected_counters.size() == tried + 1);
  }

  TEST_CASE("a type that is wanted from now on gets its keys at once, not with the next epoch") {
    for (const bool redis : {true, false}) {
      for (const bool announced : {true, false}) {
        CAPTURE(redis);
        CAPTURE(announced);
        IssuingHouse house(tokens_config(redis));
        house.run(announced ? 23h + 30min : 3h);
        const auto next = announced ? 3u : 2u;
        house.config.ristretto = true;
        house.reload();
        CHECK(house.alarm("issuing").find("0x0005") != std::string::npos);
        CHECK(house.ask() == 200);  // what there is goes on
        house.run(61s);
        CHECK(house.issuing() == next);
        CHECK(house.ask(TokenType::ristretto) == 200);
        CHECK(house.ask() == 200);
        CHECK(house.alarm("issuing").empty());
        house.run(1h);
        CHECK(house.issuing() == next);
      }
    }
  }

  TEST_CASE("a pool that stops issuing keeps no key, and never gives a number again") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    auto without = setup(house.ca);
    house.authority->configure({without}, house.now);
    house.tend();
    CHECK(house.state().epochs.empty());
    CHECK(house.block().size() == 0);
    CHECK_FALSE(house.newest().tokens.has_value());
    CHECK(house.authority->keys_wanted() == 0);
    CHECK(error(house.issuer()).find("[pool.tokens]") != std::string::npos);
    house.reload();
    house.run(10s);
    CHECK(house.issuing() == 2);
  }

  TEST_CASE("another issuer's name or origins are a new generation, not new keys") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    const auto generation = house.last().generation;
    house.config.origins = {"c.test"};
    house.reload();
    CHECK(house.last().generation > generation);
    const auto bytes = house.block();
    CHECK(wire::parse_token_block(bytes.expose())->origin_info == "c.test");
    CHECK(house.issuing() == 1);
  }

  TEST_CASE(
      "promise 10: with clocks that disagree nothing new is made, and what is over is erased") {
    IssuingHouse house(tokens_config(false, true));
    house.run(1h);
    const auto count = house.said.published.size();
    house.authority->tend(Moment(house.now, house.now + 25h));
    CHECK(house.said.published.size() == count);
    CHECK(stored(house, 1) == "LR");
    CHECK(house.authority->issue({}, Moment(house.now, house.now + 25h)).status == 503);
    house.authority->tend(Moment(house.now, house.now + 72h));
    CHECK(stored(house, 1) == "L");
    CHECK(house.said.published.size() == count);

    house.run(70s);
    CHECK(house.said.published.size() > count);
    CHECK(house.issuing() == 2);
  }

  TEST_CASE("promise 10: accepting the clock moves the token epochs with it") {
    IssuingHouse house(tokens_config(false));
    house.run(1h);
    const auto before = house.state().epochs.at(0);
    house.authority->order({.kind = keyd::Order::Kind::accept_clock, .shift = 9 * 24h},
                           [](const json&) {});
    house.now += 9 * 24h;
    house.run(1s);
    const auto after = house.state().epochs.at(0);
    CHECK(after.number == before.number);
    CHECK(after.issues_from == before.issues_from);  // it had begun
    CHECK(after.issues_until == before.issues_until + 9 * 24h);
    CHECK(after.redeems_until == before.redeems_until + 9 * 24h);
    CHECK(house.said.directories.back().changes_at ==
          after.issues_until.time_since_epoch().count());
    CHECK(house.ask() == 200);
  }

  TEST_CASE("issuer-status tells what docs/formats.md says") {
    IssuingHouse house(tokens_config(true, true));
    house.run(1h);
    const auto status = house.issuer("");
    CHECK(status.at("ok") == true);
    const auto pool = status.at("pools").at(0);
    CHECK(pool.at("pool") == "web");
    CHECK(pool.at("issuer") == "issuer.example");
    CHECK(pool.at("record") == "redis");
    CHECK(pool.at("redeemer") == "");
    CHECK(pool.at("budget") == 100);
    CHECK(pool.at("budget_window") == 3600);
    CHECK(pool.at("issued") == 0);
    CHECK(pool.at("problem") == "");
    const auto epoch = pool.at("epochs").at(0);
    const auto state = house.state();
    CHECK(epoch.at("number") == 1);
    CHECK(epoch.at("id") == hex(state.epochs[0].id));
    CHECK(epoch.at("state") == "issuing");
    CHECK(epoch.at("sentinel") == true);
    for (const char* time : {"made", "issues_from", "issues_until", "redeems_until"}) {
      CAPTURE(time);
      CHECK(epoch.at(time).is_number());
    }
    CHECK(epoch.at("keys").at(0).at("type") == 2);
    CHECK(epoch.at("keys").at(0).at("id") == hex(crypto::sha256(state.epochs[0].blind_rsa)));
    CHECK(epoch.at("keys").at(1).at("type") == 5);
    CHECK(error(house.issuer("mail")) == "no pool is called 'mail'");
  }

  TEST_CASE("promise 12: no private key is in anything that leaves the keeper, or in its log") {
    std::ostringstream log;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "log", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
    std::string told;
    {
      IssuingHouse house(tokens_config(true, true));
      spdlog::set_level(spdlog::level::trace);
      house.run(1h);
      const auto early = house.state();
      house.order(rotate_issuer());
      house.run(10s);
      house.authority->record_lost({"web", house.said.sentinels.back().epoch, "gone"}, house.now);
      house.run(10s);
      const auto late = house.state();

      told = house.issuer("").dump() + house.pool_status().dump() +
             keyd::write_message(house.authority->report(house.now)) +
             keyd::write_message(house.ask(BytesView())) + log.str();
      for (const auto& line : house.audit.lines) told += line;
      for (const auto& message : house.said.published) {
        told += keyd::write_message(message);
        told += feed::parse_bundle(message.bundle)->manifest;
      }
      for (const auto& message : house.said.directories) {
        told += keyd::write_message(message) + message.body;
      }
      for (const auto& message : house.said.sentinels) told += keyd::write_message(message);
      REQUIRE(told.find(hex(early.epochs[0].id)) != std::string::npos);  // it can be found
      REQUIRE(log.str().find("token epoch") != std::string::npos);
      for (const auto* tokens : {&early, &late}) {
        for (std::size_t i = 0; i < tokens->epochs.size(); ++i) {
          const auto& secrets = tokens->secrets[i];
          for (const auto secret : {secrets.expose_location_key(), secrets.expose_ristretto(),
                                    secrets.expose_blind_rsa()}) {
            // of an RSA key the private exponent and the primes, wherever they begin
            for (std::size_t at = secret.size() > 300 ? 280 : 0; at + 24 <= secret.size(); ++at) {
              const auto piece = secret.subspan(at, 24);
              CHECK(told.find(hex(piece)) == std::string::npos);
              CHECK(told.find(base64url(piece)) == std::string::npos);
              CHECK(told.find(as_text(piece)) == std::string::npos);
            }
          }
        }
      }
    }
    spdlog::set_default_logger(before);
    spdlog::set_level(spdlog::level::off);
  }

  TEST_CASE("promise 11: no two secrets of token epochs are the same, and none is zero") {
    IssuingHouse house(tokens_config(true, true));
    std::map<std::string, std::uint32_t> seen;
    for (int i = 0; i < 6; ++i) {
      house.run(12h);
      const auto tokens = house.state();
      for (std::size_t e = 0; e < tokens.epochs.size(); ++e) {
        const auto& epoch = tokens.epochs[e];
        for (const BytesView bytes :
             {BytesView(epoch.id), BytesView(epoch.context), BytesView(epoch.sentinel_value),
              tokens.secrets[e].expose_location_key()}) {
          CHECK_FALSE(all_zero(bytes));
          CHECK(seen.try_emplace(hex(bytes), epoch.number).first->second == epoch.number);
        }
      }
    }
    CHECK(seen.size() >= 4 * 3);
  }
}
