#include "config_tokens.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "atomic_file.hpp"
#include "attest_secrets.hpp"
#include "client/server.hpp"
#include "config_fields.hpp"
#include "key_file.hpp"
#include "token/token_type.hpp"
#include "wire/layout.hpp"

namespace keyd {

using namespace toml_file;
using namespace std::chrono_literals;
using ticket::seconds;
using ticket::ring::to_text;

namespace {

constexpr std::size_t secrets_limit = std::size_t{1} << 20;
constexpr std::size_t ca_limit = std::size_t{1} << 20;
constexpr std::uint32_t largest_budget = 1'000'000'000;
constexpr std::uint32_t largest_capacity = 1'000'000'000;  // 12 GB of table
// Of the epochs that there may be at once, those that a schedule may ask for: what is
// rotated early, or lost, needs room too.
constexpr std::size_t scheduled_epochs = ticket::wire::max_token_epochs - 2;

bool is_loopback(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (host == "localhost") return true;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6) != 0;
}

// A host with or without port, in the one spelling that challenges are compared in.
std::optional<std::string> normal_audience(const std::string& text) {
  if (const auto server = ticket::client::Server::parse(text)) return server->text();
  if (auto host = ticket::client::normal_host_name(text)) return host;
  return ticket::client::normal_address(text);
}

void check_audience(const Section& section, std::string_view key, int line,
                    const std::string& text) {
  constexpr auto allowed = "HOST or HOST:PORT, in lower case, as clients and proxies write it";
  const auto normal = normal_audience(text);
  if (!normal) section.fail_at(line, key, in_quotes(text) + " is no host", allowed);
  if (*normal == text) return;
  section.fail_at(line, key, in_quotes(text) + " is usually spelled " + in_quotes(*normal),
                  allowed);
}

std::string issuer_name(const Section& section) {
  auto name = section.text("name", "the host at which clients find the issuer's directory");
  check_audience(section, "name", section.line("name"), name);
  if (name.size() > 255) section.fail("name", "too long", "at most 255 characters");
  return name;
}

std::vector<std::string> origins(const Section& section) {
  std::vector<std::string> origins;
  std::set<std::string> seen;
  std::size_t size = 0;
  for (const auto& [line, text] :
       section.texts("origins", "a list of hosts that tokens are for", false)) {
    check_audience(section, "origins", line, text);
    if (!seen.insert(text).second) {
      section.fail_at(line, "origins", in_quotes(text) + " stands twice", "each host once");
    }
    size += text.size() + 1;
    if (size > ticket::wire::max_origin_info) {
      section.fail_at(line, "origins", "too many",
                      std::to_string(ticket::wire::max_origin_info) + " bytes with their commas");
    }
    origins.push_back(text);
  }
  return origins;
}

void read_tls(const Section& section, TokensConfig& tokens) {
  const bool certificate = section.has("certificate"), key = section.has("key");
  if (certificate != key) {
    section.fail(certificate ? "key" : "certificate", "missing",
                 "both for TLS, or neither for plain HTTP on loopback");
  }
  if (certificate) {
    tokens.certificate = file(section, "certificate", "the PEM of the issuer's certificate");
    tokens.key = secret_file(section, "key", "the PEM of the certificate's key");
  } else if (!is_loopback(tokens.listen.host)) {
    section.fail("listen", tokens.listen.host + " is not loopback, and there is no certificate",
                 "give certificate and key, or listen on 127.0.0.1 or [::1]");
  }
}

void read_types(const Section& section, TokensConfig& tokens) {
  constexpr auto allowed = "a list of \"blind-rsa\" and \"ristretto\"";
  if (section.has("types")) {
    tokens.blind_rsa = tokens.ristretto = false;
    for (const auto& [line, text] : section.texts("types", allowed, true)) {
      const bool blind = text == "blind-rsa";
      if (!blind && text != "ristretto") {
        section.fail_at(line, "types", in_quotes(text) + " is unknown", allowed);
      }
      auto& has = blind ? tokens.blind_rsa : tokens.ristretto;
      if (has) section.fail_at(line, "types", in_quotes(text) + " stands twice", allowed);
      has = true;
    }
  }
  if (!section.has("ristretto_type")) return;
  if (!tokens.ristretto) {
    section.fail("ristretto_type", "types does not name \"ristretto\"", "leave it out");
  }
  constexpr auto code = "a code point from 3 to 65535; 1 and 2 are other types'";
  tokens.ristretto_type =
      static_cast<std::uint16_t>(section.number("ristretto_type", 3, 0xffff, code));
}

void read_life(const Section& section, TokensConfig& tokens) {
  duration(section, "issue_for", tokens.issue_for);
  duration(section, "redeem_for", tokens.redeem_for);
  duration(section, "publish_ahead", tokens.publish_ahead);
  const auto within = [&](std::string_view key, seconds value, seconds least, seconds most) {
    if (value >= least && value <= most) return;
    section.fail(key, to_text(value) + " is out of range", to_text(least) + " to " + to_text(most));
  };
  within("issue_for", tokens.issue_for, 1min, 90 * 24h);
  within("redeem_for", tokens.redeem_for, 1min, 90 * 24h);
  within("publish_ahead", tokens.publish_ahead, 2min, 30 * 24h);
  const auto more = tokens.publish_ahead + tokens.redeem_for;
  const auto times = scheduled_epochs - 1;
  if (more < tokens.issue_for * static_cast<int>(times)) return;
  section.fail("issue_for", "too many epochs at once",
               "publish_ahead and redeem_for together are less than " + std::to_string(times) +
                   " times issue_for");
}

Attester attester(const Section& section, int line, const std::string& text, const char* allowed) {
  if (text == "certificate") return Attester::certificate;
  if (text == "bearer") return Attester::bearer;
  if (text != "open") section.fail_at(line, "attest", in_quotes(text) + " is unknown", allowed);
  return Attester::open;
}

void check_secrets(const Section& section, const std::filesystem::path& path) {
  try {
    const auto content = read_secret_file(path, secrets_limit);
    const auto secrets = parse_attest_secrets(ticket::as_text(content.expose()));
    if (secrets) return;
    section.fail(
        "attest_secrets",
        path.string() + ":" + std::to_string(secrets.error().line) + ": " + secrets.error().text,
        attest_secret_rule);
  } catch (const KeyFileError& problem) {
    section.fail("attest_secrets", problem.what(), "");
  }
}

void refuse_useless(const Section& section, std::string_view key, bool used, const char* attester) {
  if (used || !section.has(key)) return;
  section.fail(key, std::string("attest does not name \"") + attester + "\"", "leave it out");
}

void read_attesters(const Section& section, TokensConfig& tokens) {
  constexpr auto allowed = "a list of \"certificate\", \"bearer\" and \"open\"";
  for (const auto& [line, text] : section.texts("attest", allowed, true)) {
    const auto kind = attester(section, line, text, allowed);
    if (std::ranges::find(tokens.attest, kind) != tokens.attest.end()) {
      section.fail_at(line, "attest", in_quotes(text) + " stands twice", allowed);
    }
    tokens.attest.push_back(kind);
  }
  const auto has = [&](Attester kind) {
    return std::ranges::find(tokens.attest, kind) != tokens.attest.end();
  };
  if (has(Attester::certificate) && tokens.certificate.empty()) {
    section.fail("attest", "\"certificate\" without TLS", "give certificate and key");
  }
  if (has(Attester::open) && !is_loopback(tokens.listen.host)) {
    section.fail("attest", "\"open\", and " + tokens.listen.host + " is not loopback",
                 "\"open\" is for issuers that listen on 127.0.0.1 or [::1]");
  }
  refuse_useless(section, "attest_ca", has(Attester::certificate), "certificate");
  refuse_useless(section, "attest_secrets", has(Attester::bearer), "bearer");
  if (has(Attester::certificate)) {
    tokens.attest_ca = file(section, "attest_ca", "the PEM of the CA of the clients");
  }
  if (has(Attester::bearer)) {
    tokens.attest_secrets = secret_file(section, "attest_secrets", attest_secret_rule);
    check_secrets(section, tokens.attest_secrets);
  }
}

void read_limits(const Section& section, TokensConfig& tokens) {
  const auto count = [&](std::string_view key, std::uint32_t most, std::uint32_t& out) {
    if (!section.has(key)) return;
    out = static_cast<std::uint32_t>(
        section.number(key, 1, most, "a whole number from 1 to " + std::to_string(most)));
  };
  count("budget", largest_budget, tokens.budget);
  count("capacity", largest_capacity, tokens.capacity);
  duration(section, "budget_window", tokens.budget_window);
  if (tokens.budget_window < 1s || tokens.budget_window > 365 * 24h) {
    section.fail("budget_window", to_text(tokens.budget_window) + " is out of range", "1s to 365d");
  }
}

// A socket's path, or HOST:PORT.
Address redis(const Section& section) {
  constexpr auto allowed = "the path of Redis' Unix socket, or \"HOST:PORT\"";
  const auto& text = section.text("redis", allowed);
  if (text.find('/') != std::string::npos) {
    return {socket_path(section, "redis", section.line("redis"), text).string(), ""};
  }
  const auto address = parse_address(text);
  if (!address || address->port == "0") {
    section.fail("redis", in_quotes(text) + " is neither", allowed);
  }
  return *address;
}

void read_record(const Section& section, TokensConfig& tokens) {
  constexpr auto either = "one of redis (for all proxies) and redeemer (one member, its own table)";
  const bool shared = section.has("redis");
  if (shared == section.has("redeemer")) {
    section.fail(shared ? "redeemer" : "redis", shared ? "stands beside redis" : "missing", either);
  }
  if (shared) {
    tokens.redis = redis(section);
    tokens.redis_durable = section.truth("redis_durable", false);
    return;
  }
  tokens.redeemer = name(section, "redeemer");
  if (section.has("redis_durable")) {
    section.fail("redis_durable", "there is no redis", "leave it out");
  }
}

}  // namespace

std::optional<TokensConfig> pool_tokens(const Section& pool) {
  const auto* table = pool.table("tokens", "write [pool.tokens] below its [[pool]]");
  if (table == nullptr) return std::nullopt;
  const Section section(
      pool.file(), *table, "[pool.tokens]",
      {"listen", "name", "origins", "certificate", "key", "types", "ristretto_type", "issue_for",
       "redeem_for", "publish_ahead", "attest", "attest_ca", "attest_secrets", "budget",
       "budget_window", "capacity", "redis", "redis_durable", "redeemer"});
  TokensConfig tokens;
  tokens.listen = address(section, "listen");
  tokens.name = issuer_name(section);
  tokens.origins = origins(section);
  read_tls(section, tokens);
  read_types(section, tokens);
  read_life(section, tokens);
  read_attesters(section, tokens);
  read_limits(section, tokens);
  read_record(section, tokens);
  return tokens;
}

void refuse_shared_listeners(const Section& root, const std::vector<PoolConfig>& pools) {
  std::set<std::string> seen;
  int line = 1;
  std::size_t at = 0;
  for (const auto* table : root.tables("pool")) {
    const auto& tokens = pools[at++].tokens;
    if (!tokens || tokens->listen.port == "0") continue;
    const auto address = tokens->listen.host + ":" + tokens->listen.port;
    line = table->find("tokens")->table()->find("listen")->line;
    if (seen.insert(address).second) continue;
    root.fail_at(line, "[pool.tokens] listen", in_quotes(address) + " stands twice",
                 "each pool's issuer has its own address");
  }
}

// ---- what the front is told

namespace {

const char* text_of(Attester kind) {
  constexpr const char* texts[] = {"certificate", "bearer", "open"};
  return texts[static_cast<std::size_t>(kind)];
}

std::string read_ca(const std::filesystem::path& path) {
  const auto content = read_file(path, ca_limit);
  if (!content) throw ConfigError(path.string() + ": no such file");
  return *content;
}

std::vector<AttestedSecret> read_secrets(const std::filesystem::path& path) {
  const auto content = read_secret_file(path, secrets_limit);
  auto secrets = parse_attest_secrets(ticket::as_text(content.expose()));
  if (secrets) return *std::move(secrets);
  throw ConfigError(path.string() + ":" + std::to_string(secrets.error().line) + ": " +
                    secrets.error().text + "; " + attest_secret_rule);
}

IssuerSetup issuer_setup(const std::string& pool, const TokensConfig& tokens) {
  IssuerSetup setup;
  setup.pool = pool;
  setup.listen = tokens.listen;
  setup.certificate = tokens.certificate;
  setup.key = tokens.key;
  for (const auto kind : tokens.attest) setup.attest.emplace_back(text_of(kind));
  if (!tokens.attest_ca.empty()) setup.attest_ca = read_ca(tokens.attest_ca);
  if (!tokens.attest_secrets.empty()) setup.secrets = read_secrets(tokens.attest_secrets);
  setup.budget = tokens.budget;
  setup.budget_window = tokens.budget_window.count();
  if (tokens.redis) setup.redis = {*tokens.redis};
  setup.redis_durable = tokens.redis_durable;
  setup.ristretto_type = tokens.ristretto ? tokens.ristretto_type : 0;
  return setup;
}

}  // namespace

std::vector<IssuerSetup> issuer_setups(const std::vector<PoolConfig>& pools) {
  std::vector<IssuerSetup> setups;
  for (const auto& pool : pools) {
    if (pool.tokens) setups.push_back(issuer_setup(pool.name, *pool.tokens));
  }
  return setups;
}

std::vector<std::string> token_notes(const PoolConfig& pool) {
  std::vector<std::string> notes;
  if (!pool.tokens) return notes;
  const auto& tokens = *pool.tokens;
  const auto note = [&](const std::string& text) { notes.push_back(pool.name + ": " + text); };
  if (tokens.origins.empty()) note("no origins: its tokens are good at any");
  if (std::ranges::find(tokens.attest, Attester::open) != tokens.attest.end()) {
    note("attest \"open\": whoever reaches the issuer has tokens, also through a proxy before it");
  }
  if (tokens.ristretto) note("type ristretto: every redeemer could also issue");
  if (!tokens.attest_ca.empty() && tokens.attest_ca == pool.members_ca) {
    note("attest_ca is members_ca: every member of the pool may have tokens, too");
  }
  if (tokens.redis && !tokens.redis->port.empty() && !is_loopback(tokens.redis->host)) {
    note("redis at " + tokens.redis->host + ": nothing is encrypted on the way there");
  }
  if (tokens.redis && !tokens.redis_durable) {
    note("redis_durable is off: a crash of Redis, or a failover, may forget spent tokens");
  }
  return notes;
}

}  // namespace keyd
