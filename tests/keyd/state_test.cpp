#include "state.hpp"

#include "fixture.hpp"

using namespace test;

namespace {

// An epoch with both keys, and one that has ended.
keyd::PoolTokens some_tokens() {
  keyd::PoolTokens tokens;
  tokens.last_epoch = 6;
  tokens.record.fill(std::byte(3));
  tokens.block = crypto::sha256(as_bytes("block"));
  for (std::uint32_t number : {5, 6}) {
    keyd::TokenEpoch epoch;
    epoch.number = number;
    epoch.id.fill(std::byte(number));
    epoch.made = noon;
    epoch.issues_from = noon + 1h;
    epoch.issues_until = noon + 2h;
    epoch.redeems_until = noon + 3h;
    epoch.capacity = 500;
    epoch.announced_in = 1'790'000'000'001;
    epoch.context.fill(std::byte(0xc0));
    epoch.sentinel_value.fill(std::byte(0x5e));
    epoch.held = epoch.begun = epoch.sentinel = true;
    const bool ended = number == 5;  // small keys: every byte of the file is cut and flipped
    if (ended) {
      epoch.ended_in = 1'790'000'000'123;
      epoch.ended_at = noon + 3h;
      epoch.closed = epoch.ordered = true;
    } else {
      epoch.blind_rsa = Bytes(342, std::byte(2));
      epoch.ristretto = Bytes(32, std::byte(5));
    }
    tokens.secrets.emplace_back(Secret<32>::random().expose(), Bytes(ended ? 0 : 32, std::byte(7)),
                                Bytes(ended ? 0 : 64, std::byte(8)));
    tokens.epochs.push_back(std::move(epoch));
  }
  return tokens;
}

keyd::KeeperState some_state() {
  keyd::KeeperState state;
  state.counter = 41;
  state.audit = {7, crypto::sha256(as_bytes("line")), {"line before", "line"}};
  for (const char* name : {"web", "mail"}) {
    keyd::PoolState pool;
    pool.name = name;
    pool.generation = 1'790'000'000'123;
    pool.last_epoch = 8;
    pool.last_member = 3;
    pool.manifest = R"({"version": 1})";
    pool.content_key = Secret<32>::random();
    for (std::uint32_t number : {7, 8}) {
      ring::Epoch epoch{number, {}, noon, noon + 1h, noon + 2h, noon + 14h, number == 7};
      epoch.id.fill(std::byte(number));
      pool.epochs.push_back(epoch);
    }
    pool.secrets = SecretBytes(64);
    randombytes_buf(pool.secrets.fill().data(), 64);
    pool.members.push_back({3, "web1", "sha256:00", {}, noon + 5s});
    pool.members.back().sealing_key.fill(std::byte(0xab));
    pool.expelled.push_back({2, "web0", "sha256:01", noon, name == std::string("web")});
    pool.revocations.push_back({2, noon - 1h, noon});
    pool.tokens = some_tokens();
    state.pools.push_back(std::move(pool));
  }
  return state;
}

Rejection why_not(const keyd::StateKey& key, BytesView file) {
  const auto opened = keyd::open_state(key, file);
  REQUIRE_FALSE(opened.has_value());
  return opened.error();
}

}  // namespace

TEST_SUITE("keeper state") {
  TEST_CASE("what is sealed opens to the same") {
    const auto state = some_state();

    const auto opened = keyd::open_state(state_key(), keyd::seal_state(state_key(), state));

    REQUIRE(opened.has_value());
    CHECK(opened->counter == 41);
    CHECK(to_bytes(keyd::write_state(*opened).expose()) ==
          to_bytes(keyd::write_state(state).expose()));
    const auto& pool = *opened->pool("mail");
    CHECK(pool.generation == 1'790'000'000'123);
    CHECK(pool.epochs == state.pools[1].epochs);
    CHECK(pool.member("web1")->number == 3);
    CHECK(pool.member("web1")->enrolled_at == noon + 5s);
    CHECK(pool.content_key == state.pools[1].content_key);
    CHECK(pool.tokens.epochs == state.pools[1].tokens.epochs);
    CHECK(pool.tokens.record[31] == std::byte(3));
    CHECK(pool.tokens.block == state.pools[1].tokens.block);
    CHECK(pool.tokens.secrets[1].expose_ristretto().size() == 32);
    CHECK(pool.tokens.secrets[1].expose_blind_rsa()[7] == std::byte(8));
  }

  TEST_CASE("a copy has everything, and its own secrets") {
    const auto state = some_state();
    const auto copy = state.copy();
    CHECK(to_bytes(keyd::write_state(copy).expose()) ==
          to_bytes(keyd::write_state(state).expose()));
  }

  TEST_CASE("token keys of a wrong size, too many epochs and unknown flags are refused") {
    const auto refused = [](auto change) {
      auto state = some_state();
      change(state.pools[0].tokens);
      return !keyd::parse_state(keyd::write_state(state).expose(), 1).has_value();
    };
    CHECK_FALSE(refused([](auto&) {}));
    CHECK(refused([](auto& tokens) { tokens.epochs[1].blind_rsa.pop_back(); }));
    CHECK(refused([](auto& tokens) { tokens.epochs[1].ristretto.push_back(std::byte(0)); }));
    CHECK(refused(
        [](auto& tokens) { tokens.secrets[1] = keyd::TokenSecrets(Bytes(32), Bytes(31), {}); }));
    CHECK(refused([](auto& tokens) {
      while (tokens.epochs.size() <= keyd::most_token_epochs) {
        tokens.epochs.push_back(tokens.epochs.back());
        tokens.secrets.push_back(tokens.secrets.back().copy());
      }
    }));
    auto one = some_state();
    one.pools.resize(1);
    one.pools[0].tokens.epochs.erase(one.pools[0].tokens.epochs.begin());
    one.pools[0].tokens.secrets.erase(one.pools[0].tokens.secrets.begin());
    auto plain = to_bytes(keyd::write_state(one).expose());
    const auto flags = plain.size() - (2 + 64 + 1 + 32 + 32 + 1 + 32 + 2 + 342 + 16 + 32 + 1);
    REQUIRE(plain[flags] == std::byte(7));  // held, sentinel, begun
    plain[flags] = std::byte(15);
    CHECK(keyd::parse_state(plain, 1)->pools[0].tokens.epochs[0].closed);
    plain[flags] = std::byte(23);
    CHECK(keyd::parse_state(plain, 1)->pools[0].tokens.epochs[0].ordered);
    plain[flags] = std::byte(32);
    CHECK_FALSE(keyd::parse_state(plain, 1).has_value());
  }

  TEST_CASE("what a closed epoch keeps, and one that ended") {
    auto tokens = some_tokens();
    auto& epoch = tokens.epochs[1];
    const auto& secrets = tokens.secrets[1];
    CHECK(secrets.kept_by(epoch).expose_blind_rsa().size() == 64);
    epoch.closed = true;
    CHECK(secrets.kept_by(epoch).expose_blind_rsa().empty());
    CHECK(secrets.kept_by(epoch).expose_ristretto().size() == 32);
    epoch.ended_at = noon;
    CHECK(secrets.kept_by(epoch).expose_ristretto().empty());
    CHECK(hex(secrets.kept_by(epoch).expose_location_key()) == hex(secrets.expose_location_key()));
  }

  TEST_CASE("every truncation is refused") {
    const auto plain = keyd::write_state(some_state());
    for (std::size_t size = 0; size < plain.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(keyd::parse_state(plain.expose().first(size), 1).has_value());
    }
    const auto file = keyd::seal_state(state_key(), some_state());
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(keyd::open_state(state_key(), BytesView(file).first(size)).has_value());
    }
  }

  TEST_CASE("every flipped byte is refused, in the head too") {
    const auto file = keyd::seal_state(state_key(), some_state());
    for (std::size_t at = 0; at < file.size(); ++at) {
      auto altered = file;
      altered[at] ^= std::byte(1);
      CAPTURE(at);
      CHECK_FALSE(keyd::open_state(state_key(), altered).has_value());
    }
  }

  TEST_CASE("bytes behind the end are refused") {
    Bytes plain = to_bytes(keyd::write_state(some_state()).expose());
    plain.push_back(std::byte(0));
    CHECK_FALSE(keyd::parse_state(plain, 1).has_value());
  }

  TEST_CASE("another key, version or passphrase is told from a file that is none") {
    auto file = keyd::seal_state(state_key(), some_state());
    CHECK(why_not(state_key(8), file) == Rejection::forged);
    auto salted = state_key();
    salted.kdf = keyd::Kdf::argon2id;
    CHECK(why_not(salted, file) == Rejection::forged);
    file[8] = std::byte(1);
    CHECK(why_not(state_key(), file) == Rejection::unsupported);
    file[7] ^= std::byte(1);
    CHECK(why_not(state_key(), file) == Rejection::malformed);
    CHECK(why_not(state_key(), as_bytes("")) == Rejection::malformed);
  }

  TEST_CASE("promise 9: after an older copy no epoch number is given again") {
    auto state = some_state();
    CHECK(keyd::go_on_from(state, 41, noon) == 0);
    CHECK(keyd::go_on_from(state, 40, noon) == 0);  // killed before it was noted
    CHECK(state.pools[0].last_epoch == 8);
    CHECK_FALSE(state.restored);

    CHECK(keyd::go_on_from(state, 44, noon) == 3);
    CHECK(state.restored);
    CHECK(state.pools[0].last_epoch == 8 + 3 * 64);
    CHECK(state.pools[0].tokens.last_epoch == 6 + 3 * 64);

    auto brought = some_state();
    CHECK_FALSE(keyd::go_on_from(brought, std::nullopt, noon + 24h).has_value());
    CHECK(brought.restored);
    CHECK(brought.pools[1].last_epoch > 8 + 24 * 3600);
    CHECK(brought.pools[1].last_epoch < 8 + 25 * 3600);
  }

  TEST_CASE("a sealed state shows no secret") {
    const auto state = some_state();
    const auto file = keyd::seal_state(state_key(), state);
    const auto text = as_text(file);
    CHECK(text.find(as_text(state.pools[0].secrets.expose().first(8))) == std::string::npos);
    CHECK(text.find("web1") == std::string::npos);
    const auto location_key = state.pools[0].tokens.secrets[1].expose_location_key();
    CHECK(text.find(as_text(location_key.first(8))) == std::string::npos);
  }
}
