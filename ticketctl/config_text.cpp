#include "config_text.hpp"

#include <fmt/core.h>

namespace ticketctl {

namespace {

constexpr const char* keyd_template =
    R"(# keyd's configuration for the pool "{pool}": keyd authority --config keyd.toml
# Paths are relative to this file's folder. `keyd check-config keyd.toml` reads
# it without starting anything; SIGHUP makes a running keyd read it again.

[authority]

# Where agents connect (TLS 1.3, client certificates): "HOST:PORT", several if
# you like, IPv6 as "[::1]:7443".
listen = [{listen}]

# keyd's own certificate (role ticket:keyd) and its private key.
certificate = "keyd.pem"
key = "keyd.key"

# Who may connect at all. Default: every pool's members_ca.
# clients_ca = "ca.pem"

# Bundles are signed with it (Ed25519). Its public half, authority.pub, stands
# in each agent.toml: who changes the one must change the others.
signing_key = "authority.key"

# What keyd must not forget: epochs, members, generations. Sealed under
# state_key, which is a file, "credential:NAME" (systemd) or "passphrase:FILE".
state = "state/keyd.state"
state_key = "state.key"

# What was changed and ordered, a JSON line each; `ticketctl audit verify` checks it.
# audit = "state/audit.log"

# The Unix socket that ticketctl talks to, and who may beside root and keyd's
# own user. This folder is closed to others, so for them choose a socket that
# they can reach, say "/run/keyd/keyd.sock".
admin = "keyd.sock"
# admin_users = ["deploy"]

# What the kernel does to a keeper that makes a system call it has no business
# with: kill, errno (fails the call) or off.
# seccomp = "kill"

# error, warning, info or debug; and lines of text, or a JSON object each.
# log_level = "info"
# log_format = "text"

# Prometheus' /metrics and a status page on /, in plain HTTP: for loopback or a
# management network. Off when not set.
# metrics = "127.0.0.1:9464"

# A pool: servers that share secrets. Servers that must not impersonate each
# other belong in different pools; copy this section for each.
[[pool]]
name = "{pool}"

# Whose certificates make members: role ticket:member:{pool}:NAME.
members_ca = "ca.pem"

# Durations have units: s, m, h, d.

# An epoch seals this long, then the next one does.
rotate_every = "{rotate_every}"

# How long a ticket is good for; at most 7d (RFC 8446, 4.6.1).
lifetime = "{lifetime}"

# Epochs are made this long before they seal: every server can open what any
# server will seal, and keyd may be away this long unnoticed. At least
# rotate_every.
publish_ahead = "{publish_ahead}"

# The last epoch may seal this much longer when nothing newer has come; it never
# opens longer. Default: lifetime.
stretch = "{stretch}"

# No resumption later than this after the full handshake that began it all.
lineage = "{lineage}"

# Tickets that do not say who sealed them when (HAProxy's, and those of servers with a
# key file): "refuse" if lineage and `ticketctl revoke` must reach every ticket.
# unattributed = "accept"

# What clients are told of the pool, so that they offer a ticket of one server to the
# others (`ticketctl pool manifest`, `pool dns`): host names, the pool's on every port,
# and servers on their port alone.
# client_names = ["a.example.org", "b.example.org"]
# client_servers = ["c.example.org:8443"]

# A foreign CA's certificate as a member: exactly one of fingerprint, subject
# (RFC 2253) and san.
# [[pool.rule]]
# member = "web1"
# fingerprint = "sha256:..."
# subject = "CN=web1,O=Example"
# san = "DNS:web1.example.org"

# One-time tokens: clients get them here, blindly signed, and spend each once, anywhere
# in the pool (docs/tokens.md). Belongs to the [[pool]] above; remove the # to have them.
# [pool.tokens]
#
# Where clients ask, and the host (or HOST:PORT) at which they find it.
# listen = "127.0.0.1:8443"
# name = "issuer.example.org"
#
# The hosts that tokens are for, as challenges name them. Left out: any.
# origins = ["a.example.org", "b.example.org"]
#
# The issuer's TLS. Without both it speaks plain HTTP, on loopback only.
# certificate = "issuer.pem"
# key = "issuer.key"
#
# blind-rsa, or ristretto, or both: redeemers of ristretto could also issue. Its code
# point is a draft's.
# types = ["blind-rsa"]
# ristretto_type = 5
#
# An epoch of keys issues, then is only redeemed; it is made publish_ahead before (at
# least 2m).
# issue_for = "24h"
# redeem_for = "24h"
# publish_ahead = "1h"
#
# Who may have tokens: a client certificate of attest_ca, a bearer of a secret whose
# SHA-256 stands in attest_secrets (lines: NAME HEX), or, on loopback, open: everybody.
# attest = ["certificate"]
# attest_ca = "clients.pem"
# attest_secrets = "secrets"
#
# How many tokens each of them may have in a window.
# budget = 1000
# budget_window = "1h"
#
# How many tokens an epoch has room for, and where it is recorded which were spent: in a
# Redis that all servers reach ("HOST:PORT" or the path of its socket), or in a table of
# the one member that redeems.
# capacity = 1000000
# redis = "/run/redis/redis.sock"
# redis_durable = false
# redeemer = "web1"
)";

constexpr const char* agent_template =
    R"(# The agent's configuration on the server {member}: keyd agent --config agent.toml
# Paths are relative to this file's folder.

[agent]

# Where keyd listens; several are tried in turn.
servers = ["{server}"]

# Who vouches for keyd's certificate, and whose signature bundles must carry.
ca = "ca.pem"
authority_key = "{authority_key}"

# The sealing key and the last sealed bundle: with them the agent starts without
# keyd. Made if missing; nobody else may read it.
state_dir = "state"

# error, warning, info or debug; and lines of text, or a JSON object each.
# log_level = "info"
# log_format = "text"

# Prometheus' /metrics and a status page on /, in plain HTTP: for loopback or a
# management network. Off when not set.
# metrics = "127.0.0.1:9465"

[[pool]]
name = "{pool}"

# Who this server is (role ticket:member:{pool}:{member}).
certificate = "member.pem"
key = "member.key"

# What the server's processes map; best on a tmpfs. The counters file stands
# beside it.
ring = {ring}

# The group that may read both, say your web server's.
# group = "www-data"

# One-time tokens of the pool, redeemed here (docs/tokens.md): for nginx and servers that
# embed libticket, over /redeem for others, and for HAProxy.
# [[tokens]]
# pool = "{pool}"
# redis = "/run/redis/redis.sock"
# http = "127.0.0.1:9002"
# spop = "127.0.0.1:9001"
)";

}  // namespace

std::string keyd_toml(const std::string& pool, const Endpoint& listen,
                      const ticket::ring::Policy& policy) {
  using ticket::ring::to_text;
  return fmt::format(fmt::runtime(keyd_template), fmt::arg("pool", pool),
                     fmt::arg("listen", quoted(ticketctl::to_text(listen))),
                     fmt::arg("rotate_every", to_text(policy.rotate_every)),
                     fmt::arg("lifetime", to_text(policy.lifetime)),
                     fmt::arg("publish_ahead", to_text(policy.publish_ahead)),
                     fmt::arg("stretch", to_text(policy.stretch)),
                     fmt::arg("lineage", to_text(policy.lineage)));
}

std::string agent_toml(const AgentText& agent) {
  return fmt::format(fmt::runtime(agent_template), fmt::arg("pool", agent.pool),
                     fmt::arg("member", agent.member), fmt::arg("server", agent.server),
                     fmt::arg("authority_key", agent.authority_key),
                     fmt::arg("ring", quoted(agent.ring)));
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

}  // namespace ticketctl
