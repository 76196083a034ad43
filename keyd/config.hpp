// keyd's configuration files, read whole or not at all. Paths are relative to
// the folder of the file. Every message names file, line, field and what is
// allowed.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "address.hpp"
#include "crypto/signature.hpp"
#include "ring/policy.hpp"
#include "ticket_key.hpp"
#include "token_config.hpp"

namespace keyd {

struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where somebody listens: a Unix socket, or an address.
struct Endpoint {
  std::filesystem::path path;  // empty: the address
  Address address;

  // "HOST:PORT", "[IPV6]:PORT", or the path.
  std::string text() const;
  bool operator==(const Endpoint&) const = default;
};

// Which foreign certificate is which member: exactly one of the three is set.
struct MemberRule {
  std::string member;
  std::string fingerprint;  // "sha256:..."
  std::string subject;      // RFC 2253
  std::string san;          // "DNS:web1.example.org"
};

// What clients are told of a pool; nobody is when it has neither names nor servers.
struct ClientPool {
  std::string id;                    // default: the pool's name
  std::vector<std::string> names;    // host names, the pool's on every port
  std::vector<std::string> servers;  // "HOST:PORT", the pool's on that port alone

  bool operator==(const ClientPool&) const = default;
};

struct PoolConfig {
  std::string name;
  std::filesystem::path members_ca;
  ticket::ring::Policy policy;
  std::vector<MemberRule> rules;
  ClientPool client;
  std::optional<TokensConfig> tokens;
};

struct AuthorityConfig {
  std::filesystem::path file;
  std::vector<Address> listen;
  std::filesystem::path certificate, key;  // TLS, role ticket:keyd
  std::filesystem::path clients_ca;        // who may connect; default: every pool's members_ca
  std::filesystem::path signing_key;       // Ed25519 seed, base64url
  std::filesystem::path state;
  std::filesystem::path audit;           // default: audit.log beside the state
  std::string state_key;                 // a path, "credential:NAME" or "passphrase:FILE"
  std::filesystem::path admin;           // Unix socket
  std::vector<std::string> admin_users;  // beside root and keyd's own user
  std::string seccomp = "kill";          // kill, errno, off
  std::string log_level = "info";        // error, warning, info, debug
  std::string log_format = "text";       // text, json
  std::optional<Address> metrics;        // plain HTTP; none: off
  ticket::seconds client_lifetime = std::chrono::hours(7 * 24);  // of a client manifest
  std::vector<PoolConfig> pools;
};

struct AgentPool {
  std::string name;
  std::filesystem::path certificate, key;  // role ticket:member:POOL:NAME, or by rule
  std::filesystem::path ring;              // the counters file stands beside it
  std::string group;                       // of ring and counters; empty = as it comes
};

// A key file of one or several HAProxy processes, and their stats sockets.
struct HaproxyConfig {
  std::string pool, context;
  std::filesystem::path file;
  std::string reference;  // as HAProxy knows the file: its path there, or "#" and a number
  std::vector<std::filesystem::path> sockets;
};

struct KeyFileConfig {
  std::string pool, context;
  KeyLayout layout = KeyLayout::nginx;
  std::vector<std::filesystem::path> paths;  // the first seals
  std::vector<std::string> on_change;        // a program and its arguments; empty = nothing is run
};

// Where the tokens of one pool are redeemed on this host (docs/tokens.md).
struct AgentTokens {
  std::string pool;
  std::filesystem::path tables;   // a folder of this pool's own
  std::filesystem::path claims;   // Unix socket
  std::optional<Endpoint> redis;  // needed where the pool's record is Redis
  std::chrono::milliseconds redis_timeout{50};
  bool redis_durable = false;    // true: no Redis whose AOF is not `always`
  std::optional<Endpoint> spop;  // for HAProxy; none: off
  std::optional<Endpoint> http;  // /redeem; none: off
  std::string group;             // of tables and Unix sockets: the pool's

  bool operator==(const AgentTokens&) const = default;
};

struct AgentConfig {
  std::filesystem::path file;
  std::vector<Address> servers;
  std::filesystem::path ca;                      // of keyd's certificate
  ticket::crypto::SignerPublic authority_key{};  // whose bundles to believe
  std::filesystem::path state_dir;
  std::string log_level = "info";
  std::string log_format = "text";
  std::optional<Address> metrics;
  std::vector<AgentPool> pools;
  std::vector<HaproxyConfig> haproxy;
  std::vector<KeyFileConfig> key_files;
  std::vector<AgentTokens> tokens;
};

// Each throws ConfigError: "FILE:LINE: [section] field: what is wrong; what is
// allowed". What they return is complete: files named in it were there and
// readable, names and users exist, paths are absolute, policies possible.
AuthorityConfig read_authority_config(const std::filesystem::path& file);
AgentConfig read_agent_config(const std::filesystem::path& file);

// What is right but should be known, a line each: secrets that would lie on a
// disk, lifetimes that a server cannot honour. Reads ring files where there are some.
std::vector<std::string> notes(const AgentConfig& config, ticket::Moment now);
std::vector<std::string> notes(const AuthorityConfig& config);

// Which of the two a file is, by its [authority] or [agent]; ConfigError when it
// has neither or both.
enum class ConfigKind { authority, agent };
ConfigKind detect(const std::filesystem::path& file);

}  // namespace keyd
