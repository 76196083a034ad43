// What a front counts, and how /metrics tells it (docs/metrics.md).
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "budget.hpp"
#include "report.hpp"

namespace keyd {

// Why a connection ended before it asked for anything.
enum class RefusedConnection {
  certificate,  // none, or no CA of the clients vouches for it
  tls,          // an older version, no TLS at all
  left,         // the peer went away during the handshake
  timeout,      // it took too long for its handshake
  crowded,      // the oldest of too many without a certificate
  many,         // the oldest of too many with one certificate
  count_
};

// Why a request was not answered with what it asked for.
enum class RefusedRequest {
  not_http,
  too_large,     // head or body
  bad_request,   // a query or body that does not parse
  no_such_path,  // or a method that it does not take
  no_such_pool,
  role,          // no role, two, or not that of a member
  other_pool,    // a member of another pool
  untrusted,     // the pool's CA does not vouch for it
  others_wrap,   // a member asked for another's wrap
  not_enrolled,  // it has no wrap yet
  enrolment,     // the keeper refused its enrolment
  unavailable,   // the keeper cannot enrol now, or is silent
  count_
};

const char* to_text(RefusedConnection reason);
const char* to_text(RefusedRequest reason);
const char* to_text(Budget::Why why);

// Of one pool's issuer.
class IssuerCounts {
 public:
  // The statuses that it answers with.
  static constexpr std::array statuses{200, 304, 400, 401, 404, 405, 413, 415, 422, 429, 431, 503};

  void answered(int status);
  std::uint64_t of(int status) const;
  void refuse(Budget::Why why) { ++over_budget_[static_cast<std::size_t>(why)]; }
  std::uint64_t of(Budget::Why why) const { return over_budget_[static_cast<std::size_t>(why)]; }

  std::uint64_t tokens = 0;       // signed
  std::uint64_t connections = 0;  // now

 private:
  std::array<std::uint64_t, statuses.size()> answered_{};
  std::array<std::uint64_t, static_cast<std::size_t>(Budget::Why::count_)> over_budget_{};
};

// One thread: that of the event loop.
class FrontCounts {
 public:
  void refuse(RefusedConnection reason) { ++connections_[static_cast<std::size_t>(reason)]; }
  void refuse(RefusedRequest reason) { ++requests_[static_cast<std::size_t>(reason)]; }
  std::uint64_t of(RefusedConnection reason) const {
    return connections_[static_cast<std::size_t>(reason)];
  }
  std::uint64_t of(RefusedRequest reason) const {
    return requests_[static_cast<std::size_t>(reason)];
  }

  struct Pool {
    std::uint64_t bundles_served = 0, enrolled = 0, refused = 0, unavailable = 0;
  };
  Pool& pool(const std::string& name) { return pools_[name]; }  // a configured one's
  const Pool& pool(const std::string& name) const;
  IssuerCounts& issuer(const std::string& pool) { return issuers_[pool]; }
  const IssuerCounts& issuer(const std::string& pool) const;

  std::uint64_t accepted = 0;  // connections
  std::uint64_t open = 0;      // now, those in their handshakes too
  std::uint64_t requests = 0;

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(RefusedConnection::count_)> connections_{};
  std::array<std::uint64_t, static_cast<std::size_t>(RefusedRequest::count_)> requests_{};
  std::map<std::string, Pool> pools_;
  std::map<std::string, IssuerCounts> issuers_;
};

// A front at one moment.
struct FrontSight {
  const Report& report;
  const FrontCounts& counts;
  std::uint64_t handshaking = 0;                    // of counts.open
  std::map<std::string, std::uint64_t> long_polls;  // held, by pool
  ticket::sys_seconds started;
  std::vector<std::string> issuers;  // the pools that have one
};

std::string write_front_metrics(const FrontSight& sight);

}  // namespace keyd
