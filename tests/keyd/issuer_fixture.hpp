// A pool that issues tokens: an authority with a front that makes sentinels, a maker of
// keys, a member that follows and redeems.
#pragma once

#include <algorithm>
#include <optional>
#include <set>

#include "fixture.hpp"
#include "token/client.hpp"
#include "token/directory.hpp"
#include "token/issuer.hpp"
#include "token/redeemer.hpp"
#include "wire/token_block.hpp"

namespace test {

using token::Form;
using token::IssuerKey;
using token::TokenType;

// In turn, from a few that are made once: each takes half a second. None shares its last
// byte with another, which keyd would pass over.
inline IssuerKey fresh_key() {
  static std::vector<SecretBytes> made;
  static std::size_t given = 0;
  constexpr std::size_t most = 6;
  static std::set<std::byte> last_bytes;
  while (made.size() < most) {
    auto key = IssuerKey::generate(TokenType::blind_rsa);
    if (last_bytes.insert(key.public_key().id.back()).second) made.push_back(key.secret());
  }
  return std::move(*IssuerKey::load(TokenType::blind_rsa, made[given++ % made.size()].expose()));
}

inline keyd::TokensConfig tokens_config(bool redis, bool ristretto = false) {
  keyd::TokensConfig config;
  config.name = "issuer.example";
  config.origins = {"a.test", "b.test"};
  config.ristretto = ristretto;
  config.budget = 100;
  if (redis) config.redis = keyd::Address{"/run/redis.sock", ""};
  if (!redis) config.redeemer = "web1";
  return config;
}

struct IssuingHouse : House {
  explicit IssuingHouse(keyd::TokensConfig tokens) : config(std::move(tokens)) {
    authority->configure(pools(), now);
    tend();
    now += 1s;
    REQUIRE(enrol(web1).status == 200);
  }

  std::vector<keyd::PoolSetup> pools() const {
    auto pool = setup(ca);
    pool.config.tokens = config;
    return {pool};
  }
  void reload() {
    authority->configure(pools(), now);
    follow();
  }
  void begin_again() {
    answered = said.sentinels.size();
    restart(pools());
  }

  // Keys are made, sentinels too, and the member applies what there is, until all stand still.
  void follow() {
    bool stands = false;
    for (int i = 0; i < 6 && !stands; ++i) {
      const auto published = said.published.size();
      const auto sentinels = answered;
      tend();
      std::vector<IssuerKey> keys;
      for (auto wanted = authority->keys_wanted(); wanted > 0 && maker_lives; --wanted) {
        keys.push_back(make_key());
      }
      const bool made = !keys.empty();
      authority->add_keys(std::move(keys), now);
      for (; store_lives && answered < said.sentinels.size(); ++answered) {
        if (!said.sentinels[answered].make) continue;  // only watched
        authority->sentinel_made({"web", said.sentinels[answered].epoch, {}}, now);
      }
      if (member_lives) authority->seen({{"web", "web1", last().generation, "192.0.2.1"}}, now);
      stands = i != 0 && !made && published == said.published.size() && sentinels == answered;
    }
    tend();
  }
  void run(seconds time) {
    const auto end = now + time;
    follow();
    while (authority->next(now) < end) {
      now = std::max(now + 1s, authority->next(now));
      follow();
    }
    now = end;
    follow();
  }

  keyd::PoolTokens state() const { return store.state().pool("web")->tokens.copy(); }
  json issuer(const std::string& pool = "web") const { return authority->issuer_status(pool, now); }
  json issuer_pool() const { return issuer().at("pools").at(0); }
  token::Directory directory() const {
    return *token::parse_directory(said.directories.back().body);
  }
  token::TokenTypes types() const {
    return config.ristretto ? token::TokenTypes(config.ristretto_type) : token::TokenTypes();
  }
  // What members get, opened.
  SecretBytes block() const { return std::move(open_last(*this, web1)->ring.tokens); }
  std::vector<std::uint32_t> in_block() const {
    const auto bytes = block();
    std::vector<std::uint32_t> numbers;
    const auto parsed = *wire::parse_token_block(bytes.expose());
    for (const auto& epoch : parsed.epochs) {
      numbers.push_back(epoch.number);
    }
    return numbers;
  }
  std::string challenge(std::uint32_t number, TokenType type) const {
    const auto bytes = block();
    const auto parsed = *wire::parse_token_block(bytes.expose());
    for (const auto& epoch : parsed.epochs) {
      if (epoch.number != number) continue;
      const auto made =
          token::write_challenge({type, "issuer.example", epoch.context, "a.test,b.test"}, types());
      return std::string(as_text(*made));
    }
    return {};
  }
  std::uint32_t issuing() const {
    const auto pool = issuer_pool();
    for (const auto& epoch : pool.at("epochs")) {
      if (epoch.at("state") == "issuing") return epoch.at("number");
    }
    return 0;
  }
  keyd::Issued ask(BytesView request, bool batch = false) {
    return authority->issue({7, "web", base64url(request), batch}, now);
  }
  token::Withdrawal withdrawal(TokenType type = TokenType::blind_rsa, Form form = Form::single,
                               std::size_t count = 1) const {
    const auto key = directory().key(type, types(), now);
    REQUIRE(key.has_value());
    auto begun =
        token::Withdrawal::begin(as_bytes(challenge(issuing(), type)), *key, types(), form, count);
    REQUIRE(begun.has_value());
    return std::move(*begun);
  }
  // What keyd answers to a client that does it right: 200, or why not.
  int ask(TokenType type = TokenType::blind_rsa) {
    const auto key = directory().key(type, types(), now);
    if (!key) return 404;
    const auto challenge = *token::write_challenge({type, "issuer.example", {}, ""}, types());
    return ask(token::Withdrawal::begin(challenge, *key, types())->request()).status;
  }
  bool tells(const std::string& event) const {
    return std::ranges::any_of(audit.lines, [&](const std::string& line) {
      return json::parse(line).at("event") == event;
    });
  }
  std::string alarm(const std::string& kind) const {
    const auto report = authority->report(now);
    for (const auto& alarm : report.pools.at(0).alarms) {
      if (alarm.kind == kind) return alarm.text;
    }
    return {};
  }

  keyd::TokensConfig config;
  Server web1{ca, "web1", "ticket:member:web:web1"};
  std::size_t answered = 0;
  IssuerKey (*make_key)() = fresh_key;
  bool maker_lives = true, store_lives = true, member_lives = true;
};

// Who redeems what the bundle tells of.
struct Redeeming {
  explicit Redeeming(const IssuingHouse& house) : bytes(house.block()) {
    const auto block = *wire::parse_token_block(bytes.expose());
    std::vector<token::RedeemerEpoch> epochs;
    for (const auto& told : block.epochs) {
      if (told.redeems_until <= told.issues_from) continue;  // ended before it began
      token::RedeemerEpoch epoch{told.id,
                                 told.issues_from,
                                 told.redeems_until,
                                 {},
                                 {},
                                 crypto::HmacSha256(told.location_key)};
      const auto add = [&](TokenType type, Checked<token::RedeemerKey> key) {
        epoch.keys.push_back(std::move(*key));
        epoch.challenges.push_back(*token::write_challenge(
            {type, std::string(block.issuer), told.context, std::string(block.origin_info)},
            house.types()));
      };
      if (!told.blind_rsa.empty()) {
        const auto key = token::parse_token_key(TokenType::blind_rsa, told.blind_rsa);
        add(TokenType::blind_rsa, token::RedeemerKey::blind_rsa(*key));
      }
      if (!told.ristretto.empty()) {
        add(TokenType::ristretto, token::RedeemerKey::ristretto(told.ristretto));
      }
      epochs.push_back(std::move(epoch));
    }
    redeemer.emplace(house.types(), std::move(epochs));
  }
  bool takes(BytesView presented, sys_seconds now) const {
    const auto prospect = redeemer->look(presented, "a.test", now);
    return prospect && token::Redeemer::verify(*prospect);
  }

  SecretBytes bytes;
  std::optional<token::Redeemer> redeemer;
};

inline const keyd::TokenEpoch* find(const keyd::PoolTokens& tokens, std::uint32_t number) {
  const auto found = std::ranges::find(tokens.epochs, number, &keyd::TokenEpoch::number);
  return found == tokens.epochs.end() ? nullptr : &*found;
}

// What is stored of an epoch: "L" its location key, "R" its ristretto scalar, "B" its
// blind RSA private key; "-" when nothing is.
inline std::string stored(const IssuingHouse& house, std::uint32_t number) {
  const auto tokens = house.state();
  for (std::size_t i = 0; i < tokens.epochs.size(); ++i) {
    if (tokens.epochs[i].number != number) continue;
    const auto& secrets = tokens.secrets[i];
    return std::string("L") + (secrets.expose_ristretto().empty() ? "" : "R") +
           (secrets.expose_blind_rsa().empty() ? "" : "B");
  }
  return "-";
}

inline keyd::Order rotate_issuer() {
  return {.kind = keyd::Order::Kind::rotate_issuer, .pool = "web"};
}

inline keyd::Order burn_tokens() {
  auto order = rotate_issuer();
  order.burn_tokens = true;
  return order;
}

inline std::string error(const json& answer) {
  return answer.at("ok") == true ? "" : answer.at("error").get<std::string>();
}

}  // namespace test
