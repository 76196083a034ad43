#include "config.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "config_agent_tokens.hpp"
#include "config_clients.hpp"
#include "config_feeds.hpp"
#include "config_fields.hpp"
#include "config_files.hpp"
#include "config_tokens.hpp"
#include "crypto/certificate.hpp"
#include "key_file.hpp"

namespace keyd {
namespace {

using namespace toml_file;

// ---- single settings

std::string log_level(const Section& section) {
  return one_of(section, "log_level", {"error", "warning", "info", "debug"}, "info");
}

std::string log_format(const Section& section) {
  return one_of(section, "log_format", {"text", "json"}, "text");
}

std::vector<Address> addresses(const Section& section, std::string_view key) {
  std::vector<Address> addresses;
  for (const auto& [line, text] : section.texts(key, "a list of \"HOST:PORT\"", true)) {
    const auto address = parse_address(text);
    if (!address) section.fail_at(line, key, in_quotes(text) + " is no address", address_rule);
    addresses.push_back(*address);
  }
  return addresses;
}

std::optional<Address> metrics(const Section& section) {
  if (!section.has("metrics")) return std::nullopt;
  return address(section, "metrics");
}

// ---- [[pool]] of the authority

// The field that a complaint about a policy begins with. The other complaint is
// about too many epochs at once, which rotate_every mends first.
std::string_view field_of(std::string_view complaint) {
  for (const std::string_view field : {"lifetime", "publish_ahead", "stretch", "lineage"}) {
    if (complaint.starts_with(field)) return field;
  }
  return "rotate_every";
}

ticket::ring::Unattributed unattributed(const Section& section) {
  constexpr auto choices = "\"accept\" or \"refuse\"";
  const auto text = section.text_or("unattributed", choices, "accept");
  const auto parsed = ticket::ring::parse_unattributed(text);
  if (!parsed) section.fail("unattributed", in_quotes(text) + " is neither", choices);
  return *parsed;
}

ticket::ring::Policy policy(const Section& section) {
  ticket::ring::Policy policy;
  duration(section, "rotate_every", policy.rotate_every);
  duration(section, "lifetime", policy.lifetime);
  duration(section, "publish_ahead", policy.publish_ahead);
  policy.stretch = policy.lifetime;
  duration(section, "stretch", policy.stretch);
  duration(section, "lineage", policy.lineage);
  policy.unattributed = unattributed(section);
  const auto problem = ticket::ring::problem(policy);
  if (problem) section.fail(field_of(*problem), "impossible policy", *problem);
  return policy;
}

bool is_fingerprint(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  return text.starts_with(prefix) && text.size() == prefix.size() + 64 &&
         ticket::from_hex(text.substr(prefix.size())).has_value();
}

bool is_alternative_name(std::string_view text) {
  const auto kind = text.substr(0, text.find(':'));
  return (kind == "DNS" || kind == "URI" || kind == "IP") && text.size() > kind.size() + 1;
}

MemberRule member_rule(const std::filesystem::path& file, const Table& table) {
  const Section section(file, table, "[[pool.rule]]", {"member", "fingerprint", "subject", "san"});
  constexpr auto exactly_one = "exactly one of fingerprint, subject and san says whose it is";
  MemberRule rule;
  rule.member = name(section, "member");
  rule.fingerprint = section.text_or("fingerprint", "\"sha256:\" and 64 hex digits", "");
  rule.subject = section.text_or("subject", "as RFC 2253, like \"CN=web1,O=Example\"", "");
  rule.san = section.text_or("san", "like \"DNS:web1.example.org\"", "");
  const int given = !rule.fingerprint.empty() + !rule.subject.empty() + !rule.san.empty();
  if (given != 1) section.fail("member", std::to_string(given) + " criteria", exactly_one);
  std::ranges::transform(rule.fingerprint, rule.fingerprint.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!rule.fingerprint.empty() && !is_fingerprint(rule.fingerprint)) {
    section.fail("fingerprint", in_quotes(rule.fingerprint) + " is none",
                 "\"sha256:\" and 64 hex digits");
  }
  if (!rule.san.empty() && !is_alternative_name(rule.san)) {
    section.fail("san", in_quotes(rule.san) + " is none",
                 "\"DNS:NAME\", \"URI:...\" or \"IP:ADDRESS\"");
  }
  return rule;
}

std::vector<MemberRule> member_rules(const Section& pool) {
  std::vector<MemberRule> rules;
  std::set<std::string> seen;
  for (const auto* table : pool.tables("rule")) {
    auto rule = member_rule(pool.file(), *table);
    const auto criterion = rule.fingerprint + rule.subject + rule.san;
    if (!seen.insert(criterion).second) {
      pool.fail_at(table->line, "rule", criterion + " stands twice", "one rule for a certificate");
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

PoolConfig pool(const std::filesystem::path& in, const Table& table) {
  const Section section(
      in, table, "[[pool]]",
      {"name", "members_ca", "rotate_every", "lifetime", "publish_ahead", "stretch", "lineage",
       "unattributed", "rule", "client_id", "client_names", "client_servers", "tokens"});
  PoolConfig pool;
  pool.name = name(section, "name");
  pool.members_ca = file(section, "members_ca", "the PEM of the CA that vouches for the members");
  pool.policy = policy(section);
  pool.rules = member_rules(section);
  pool.client = client_pool(section, pool.name);
  pool.tokens = pool_tokens(section);
  return pool;
}

// ---- [authority]

// A path, "credential:NAME" or "passphrase:FILE".
std::string state_key(const Section& section) {
  constexpr auto allowed = "a file, \"credential:NAME\" or \"passphrase:FILE\"";
  constexpr std::string_view credential = "credential:", passphrase = "passphrase:";
  const auto& text = section.text("state_key", allowed);
  if (text.starts_with(credential)) {
    if (!ticket::crypto::valid_name(text.substr(credential.size()))) {
      section.fail("state_key", in_quotes(text) + " names no credential", allowed);
    }
    return text;
  }
  const bool phrase = text.starts_with(passphrase);
  auto from = text.substr(phrase ? passphrase.size() : 0);
  const auto secret = checked_file(section, "state_key", resolve(section, from), allowed);
  if (const auto problem = secret_file_problem(secret)) section.fail("state_key", *problem, "");
  return (phrase ? std::string(passphrase) : "") + secret.string();
}

std::filesystem::path admin_socket(const Section& section) {
  const auto& text = section.text("admin", "the path of keyd's Unix socket");
  return socket_path(section, "admin", section.line("admin"), text);
}

std::vector<std::string> admin_users(const Section& section) {
  std::vector<std::string> users;
  for (const auto& [line, user] : section.texts("admin_users", "a list of users", false)) {
    if (::getpwnam(user.c_str()) == nullptr) {
      section.fail_at(line, "admin_users", "no such user: " + user, "users of this machine");
    }
    users.push_back(user);
  }
  return users;
}

ticket::seconds client_lifetime(const Section& section) {
  using namespace std::chrono_literals;
  ticket::seconds lifetime = AuthorityConfig().client_lifetime;
  duration(section, "client_lifetime", lifetime);
  if (lifetime < 60s || lifetime > 365 * 24h) {
    section.fail("client_lifetime", ticket::ring::to_text(lifetime) + " is out of range",
                 "1m to 365d");
  }
  return lifetime;
}

void read_authority(const Section& section, AuthorityConfig& config) {
  config.listen = addresses(section, "listen");
  config.certificate = file(section, "certificate", "the PEM of keyd's certificate");
  config.key = secret_file(section, "key", "the PEM of the certificate's key");
  if (section.has("clients_ca")) {
    config.clients_ca = file(section, "clients_ca", "the PEM of the CAs of who may connect");
  }
  config.signing_key =
      secret_file(section, "signing_key", "an Ed25519 seed, as ticketctl init makes");
  config.state = path(section, "state", "the path of the state file");
  config.audit = section.has("audit") ? path(section, "audit", "the path of the audit log")
                                      : config.state.parent_path() / "audit.log";
  config.state_key = state_key(section);
  config.admin = admin_socket(section);
  config.admin_users = admin_users(section);
  config.seccomp = one_of(section, "seccomp", {"kill", "errno", "off"}, "kill");
  config.log_level = log_level(section);
  config.log_format = log_format(section);
  config.metrics = metrics(section);
  config.client_lifetime = client_lifetime(section);
}

// ---- [agent]

ticket::crypto::SignerPublic authority_key(const Section& section) {
  constexpr auto allowed = "the 43 characters of authority.pub";
  const auto& text = section.text("authority_key", allowed);
  const auto key = read_public_key(text);
  if (!key) section.fail("authority_key", "not a key", allowed);
  return *key;
}

std::vector<Address> servers(const Section& section) {
  auto servers = addresses(section, "servers");
  for (const auto& server : servers) {
    if (server.port == "0") section.fail("servers", "port 0", "a port from 1 to 65535");
  }
  return servers;
}

void read_agent(const Section& section, AgentConfig& config) {
  config.servers = servers(section);
  config.ca = file(section, "ca", "the PEM of the CA that vouches for keyd");
  config.authority_key = authority_key(section);
  config.state_dir = path(section, "state_dir", "a folder for sealing keys and sealed bundles");
  config.log_level = log_level(section);
  config.log_format = log_format(section);
  config.metrics = metrics(section);
}

AgentPool agent_pool(const std::filesystem::path& in, const Table& table) {
  const Section section(in, table, "[[pool]]", {"name", "certificate", "key", "ring", "group"});
  AgentPool pool;
  pool.name = name(section, "name");
  pool.certificate = file(section, "certificate", "the PEM of this member's certificate");
  pool.key = secret_file(section, "key", "the PEM of the certificate's key");
  pool.ring = path(section, "ring", "the path of the ring file, like \"/run/ticket/web.ring\"");
  if (pool.ring.extension() == ".counters") {
    section.fail("ring", "ends in .counters", "the counters file beside it has that name");
  }
  pool.group = section.text_or("group", "a group of this machine", "");
  if (!pool.group.empty() && ::getgrnam(pool.group.c_str()) == nullptr) {
    section.fail("group", "no such group: " + pool.group, "a group of this machine");
  }
  return pool;
}

// ---- whole files

const Table& section_table(const Section& root, const Table& document, std::string_view key) {
  const auto header = "[" + std::string(key) + "]";
  const auto* value = document.find(key);
  if (value == nullptr) root.fail_at(1, header, "missing", "docs/formats.md shows a whole file");
  if (value->table() == nullptr) root.fail(key, "not a table", "write " + header);
  return *value->table();
}

std::vector<const Table*> pool_tables(const Section& root) {
  auto pools = root.tables("pool");
  if (pools.empty()) root.fail_at(1, "[[pool]]", "missing", "write [[pool]], once for each");
  return pools;
}

void refuse_twice(std::set<std::string>& seen, const std::string& what, const Section& root,
                  int line, std::string_view key) {
  if (!seen.insert(what).second) {
    root.fail_at(line, "[[pool]] " + std::string(key), in_quotes(what) + " stands twice",
                 "each pool has its own");
  }
}

int line_of(const Table& table, std::string_view key) {
  const auto* value = table.find(key);
  return value != nullptr ? value->line : table.line;
}

}  // namespace

AuthorityConfig read_authority_config(const std::filesystem::path& file) {
  const auto document = toml_file::parse(file);
  const Section root(file, document, "", {"authority", "pool"});
  const Section authority(
      file, section_table(root, document, "authority"), "[authority]",
      {"listen", "certificate", "key", "clients_ca", "signing_key", "state", "state_key", "audit",
       "admin", "admin_users", "seccomp", "log_level", "log_format", "metrics", "client_lifetime"});
  AuthorityConfig config;
  config.file = std::filesystem::absolute(file);
  read_authority(authority, config);
  std::set<std::string> names;
  for (const auto* table : pool_tables(root)) {
    config.pools.push_back(pool(file, *table));
    refuse_twice(names, config.pools.back().name, root, line_of(*table, "name"), "name");
  }
  refuse_contradictions(root, config.pools);
  refuse_shared_listeners(root, config.pools);
  refuse_shared_files(authority, config);
  return config;
}

AgentConfig read_agent_config(const std::filesystem::path& file) {
  const auto document = toml_file::parse(file);
  const Section root(file, document, "", {"agent", "pool", "haproxy", "keyfile", "tokens"});
  const Section agent(
      file, section_table(root, document, "agent"), "[agent]",
      {"servers", "ca", "authority_key", "state_dir", "log_level", "log_format", "metrics"});
  AgentConfig config;
  config.file = std::filesystem::absolute(file);
  read_agent(agent, config);
  std::set<std::string> names, rings;
  for (const auto* table : pool_tables(root)) {
    config.pools.push_back(agent_pool(file, *table));
    const auto& pool = config.pools.back();
    refuse_twice(names, pool.name, root, line_of(*table, "name"), "name");
    // Two rings that differ in their endings only would share a counters file.
    auto ring = pool.ring;
    refuse_twice(rings, ring.replace_extension(".ring").string(), root, line_of(*table, "ring"),
                 "ring");
  }
  auto files = files_of(root, config);
  read_feeds(root, config, files);
  read_tokens(root, config, files);
  return config;
}

std::vector<std::string> notes(const AuthorityConfig& config) {
  std::vector<std::string> notes;
  for (const auto& pool : config.pools) {
    for (auto& note : token_notes(pool)) notes.push_back(std::move(note));
  }
  return notes;
}

std::string Endpoint::text() const {
  if (!path.empty()) return path.string();
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

ConfigKind detect(const std::filesystem::path& file) {
  const auto document = toml_file::parse(file);
  const Section root(file, document, "",
                     {"authority", "agent", "pool", "haproxy", "keyfile", "tokens"});
  const bool authority = document.find("authority") != nullptr;
  const bool agent = document.find("agent") != nullptr;
  constexpr auto allowed = "a file has one of [authority] and [agent]";
  if (authority && agent) root.fail("agent", "stands beside [authority]", allowed);
  if (!authority && !agent) root.fail_at(1, "[authority]", "missing, and so is [agent]", allowed);
  return authority ? ConfigKind::authority : ConfigKind::agent;
}

}  // namespace keyd
