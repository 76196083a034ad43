// The pre-flight: a full handshake with every server, then every ticket offered to
// every server.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "endpoint.hpp"
#include "tls_client.hpp"
#include "verdict.hpp"

namespace ticketctl {

struct CheckPlan {
  std::vector<Endpoint> servers;
  std::vector<std::string> names;  // for SNI; empty: each server's own host, if that is a name
  std::vector<TlsVersion> versions = {TlsVersion::v1_2, TlsVersion::v1_3};
  ClientOptions client;
};

// A full handshake. Servers and names are indices into the plan's lists.
struct ServerSight {
  std::size_t server = 0;
  std::string name;  // that was asked for; empty = none
  TlsVersion version = TlsVersion::v1_3;
  Shake shake;
};
// What is wrong with it, in words; printable.
std::string failure(const ServerSight& sight);

struct PairSight {
  std::size_t from = 0, to = 0;
  std::string name;
  TlsVersion version = TlsVersion::v1_3;
  Verdict verdict = Verdict::unreachable;
  bool by_id = false;          // it resumed, but not by a ticket
  bool no_new_ticket = false;  // it resumed, and nothing came for the next time (TLS 1.3)
};

struct NameSight {
  std::size_t from = 0, to = 0;
  std::string name, under;
  TlsVersion version = TlsVersion::v1_3;
  Apart apart = Apart::unknown;
};

struct CheckReport {
  std::vector<ServerSight> servers;
  std::vector<PairSight> pairs;
  std::vector<NameSight> names;  // empty for fewer than two names

  bool all_resume() const;
  bool names_apart() const;  // also when there was nothing to keep apart
};

// Throws CommandError (usage) when a file of the plan cannot be used.
CheckReport check_pool(const CheckPlan& plan,
                       const std::function<void(std::size_t done, std::size_t of)>& progress);

}  // namespace ticketctl
