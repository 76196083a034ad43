#include "front_metrics.hpp"

#include <algorithm>

#include "exposition.hpp"
#include "version.hpp"

namespace keyd {

const char* to_text(RefusedConnection reason) {
  constexpr const char* texts[] = {"certificate", "tls", "left", "timeout", "crowded", "many"};
  return texts[static_cast<std::size_t>(reason)];
}

const char* to_text(RefusedRequest reason) {
  constexpr const char* texts[] = {"not_http",     "too_large",    "bad_request", "no_such_path",
                                   "no_such_pool", "role",         "other_pool",  "untrusted",
                                   "others_wrap",  "not_enrolled", "enrolment",   "unavailable"};
  return texts[static_cast<std::size_t>(reason)];
}

const char* to_text(Budget::Why why) {
  constexpr const char* texts[] = {"spent", "never", "crowded"};
  return texts[static_cast<std::size_t>(why)];
}

void IssuerCounts::answered(int status) {
  const auto* const known = std::ranges::find(statuses, status);
  if (known != statuses.end()) ++answered_[static_cast<std::size_t>(known - statuses.begin())];
}

std::uint64_t IssuerCounts::of(int status) const {
  const auto* const known = std::ranges::find(statuses, status);
  return known == statuses.end() ? 0
                                 : answered_[static_cast<std::size_t>(known - statuses.begin())];
}

const IssuerCounts& FrontCounts::issuer(const std::string& pool) const {
  static const IssuerCounts none;
  const auto found = issuers_.find(pool);
  return found == issuers_.end() ? none : found->second;
}

const FrontCounts::Pool& FrontCounts::pool(const std::string& name) const {
  static const Pool none;
  const auto found = pools_.find(name);
  return found == pools_.end() ? none : found->second;
}

namespace {

void write_process(Exposition& out, const FrontSight& sight) {
  out.gauge("keyd_build_info", "Always 1; the version is in its label.");
  out.add(1, {{"version", version}});
  out.gauge("keyd_start_time_seconds", "When keyd was started, Unix time.");
  out.add(sight.started.time_since_epoch().count());
  out.gauge("keyd_clock_apart_seconds",
            "How far the wall clock is from the time that rotation goes by.");
  out.add(sight.report.clock_apart);
  out.counter("keyd_store_failures_total", "Times that the state could not be stored.");
  out.add(sight.report.store_failures);
}

// One gauge for each pool.
template <class Value>
void write_each(Exposition& out, const Report& report, const char* name, const char* help,
                Value value) {
  out.gauge(name, help);
  for (const auto& pool : report.pools) out.add(value(pool), {{"pool", pool.name}});
}

void write_epochs(Exposition& out, const Report& report) {
  out.gauge("keyd_epochs", "Epochs of a pool by their state.");
  for (const auto& pool : report.pools) {
    for (const auto* state : {"announced", "sealing", "opening", "burned"}) {
      out.add(std::ranges::count(pool.epochs, state, &EpochReport::state),
              {{"pool", pool.name}, {"state", state}});
    }
  }
}

void write_alarms(Exposition& out, const Report& report) {
  out.gauge("keyd_alarm", "1 while an operator should look: see ticketctl status.");
  for (const auto& pool : report.pools) {
    for (const auto* kind : alarm_kinds) {
      out.add(std::ranges::count(pool.alarms, kind, &AlarmReport::kind) > 0 ? 1 : 0,
              {{"pool", pool.name}, {"kind", kind}});
    }
  }
}

// One line a pool and label, of pools that issue tokens.
void write_of_issuers(
    Exposition& out, const Report& report, const char* label,
    const std::vector<std::pair<const char*, std::uint64_t IssuerReport::*>>& each) {
  for (const auto& pool : report.pools) {
    for (const auto& issuer : pool.issuer) {
      for (const auto& [value, count] : each) {
        out.add(issuer.*count, {{"pool", pool.name}, {label, value}});
      }
    }
  }
}

void write_issuers(Exposition& out, const Report& report) {
  out.gauge("keyd_token_epochs", "Token epochs of a pool by their state.");
  write_of_issuers(out, report, "state",
                   {{"announced", &IssuerReport::announced},
                    {"issuing", &IssuerReport::issuing},
                    {"redeeming", &IssuerReport::redeeming},
                    {"ended", &IssuerReport::ended}});
  out.counter("keyd_tokens_issued_total", "Tokens issued, by type.");
  write_of_issuers(out, report, "type",
                   {{"blind-rsa", &IssuerReport::issued_blind_rsa},
                    {"ristretto", &IssuerReport::issued_ristretto}});
  out.counter("keyd_token_records_lost_total",
              "Token epochs of which Redis no longer knows what was spent.");
  for (const auto& pool : report.pools) {
    for (const auto& issuer : pool.issuer) {
      out.add(issuer.records_lost, {{"pool", pool.name}});
    }
  }
}

void write_pools(Exposition& out, const Report& report) {
  write_each(out, report, "keyd_generation", "The generation that is published.",
             [](const PoolReport& pool) { return pool.generation; });
  write_each(out, report, "keyd_issued_timestamp_seconds", "When that generation was made.",
             [](const PoolReport& pool) { return pool.issued_at; });
  write_each(out, report, "keyd_not_after_timestamp_seconds",
             "When its last key stops opening tickets.",
             [](const PoolReport& pool) { return pool.not_after; });
  write_epochs(out, report);
  write_each(out, report, "keyd_members_enrolled", "Members of a pool.",
             [](const PoolReport& pool) { return pool.enrolled; });
  write_each(out, report, "keyd_members_seen", "Members that spoke in the last minute.",
             [](const PoolReport& pool) { return pool.seen; });
  write_each(out, report, "keyd_members_current", "Of those, who runs on the newest generation.",
             [](const PoolReport& pool) { return pool.current; });
  write_each(out, report, "keyd_oldest_applied_generation",
             "The oldest generation that one of those seen runs on; 0 when nobody was seen.",
             [](const PoolReport& pool) { return pool.oldest_applied; });
  write_alarms(out, report);
  write_issuers(out, report);
}

void write_work(Exposition& out, const FrontSight& sight) {
  const auto& pools = sight.report.pools;
  out.counter("keyd_enrolments_total", "Enrolments answered, by result.");
  for (const auto& pool : pools) {
    const auto& counts = sight.counts.pool(pool.name);
    out.add(counts.enrolled, {{"pool", pool.name}, {"result", "enrolled"}});
    out.add(counts.refused, {{"pool", pool.name}, {"result", "refused"}});
    out.add(counts.unavailable, {{"pool", pool.name}, {"result", "unavailable"}});
  }
  out.counter("keyd_bundles_served_total", "Bundles sent to members.");
  for (const auto& pool : pools) {
    out.add(sight.counts.pool(pool.name).bundles_served, {{"pool", pool.name}});
  }
  out.gauge("keyd_long_polls", "Members that wait for the next generation.");
  for (const auto& pool : pools) {
    const auto held = sight.long_polls.find(pool.name);
    out.add(held == sight.long_polls.end() ? 0 : held->second, {{"pool", pool.name}});
  }
}

template <class Reason>
void write_refusals(Exposition& out, const FrontCounts& counts) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Reason::count_); ++i) {
    const auto reason = static_cast<Reason>(i);
    out.add(counts.of(reason), {{"reason", to_text(reason)}});
  }
}

void write_connections(Exposition& out, const FrontSight& sight) {
  const auto& counts = sight.counts;
  out.gauge("keyd_connections", "TLS connections that are open.");
  out.add(sight.handshaking, {{"state", "handshake"}});
  out.add(counts.open - std::min(counts.open, sight.handshaking), {{"state", "open"}});
  out.counter("keyd_connections_accepted_total", "TCP connections accepted.");
  out.add(counts.accepted);
  out.counter("keyd_connections_refused_total", "Of those, who never got to ask, by reason.");
  write_refusals<RefusedConnection>(out, counts);
  out.counter("keyd_requests_total", "HTTP requests read, refused ones too.");
  out.add(counts.requests);
  out.counter("keyd_requests_refused_total", "HTTP requests refused, by reason.");
  write_refusals<RefusedRequest>(out, counts);
}

void write_issuers(Exposition& out, const FrontSight& sight) {
  out.counter("keyd_issuer_requests_total", "Requests to the issuer of a pool, by its answer.");
  for (const auto& pool : sight.issuers) {
    for (const int status : IssuerCounts::statuses) {
      out.add(sight.counts.issuer(pool).of(status),
              {{"pool", pool}, {"status", std::to_string(status)}});
    }
  }
  out.counter("keyd_issuer_tokens_total", "Tokens that were signed.");
  for (const auto& pool : sight.issuers) {
    out.add(sight.counts.issuer(pool).tokens, {{"pool", pool}});
  }
  out.counter("keyd_issuer_budget_refused_total", "Requests beyond a client's budget, by reason.");
  for (const auto& pool : sight.issuers) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(Budget::Why::count_); ++i) {
      const auto why = static_cast<Budget::Why>(i);
      out.add(sight.counts.issuer(pool).of(why), {{"pool", pool}, {"reason", to_text(why)}});
    }
  }
  out.gauge("keyd_issuer_connections", "Connections of clients to the issuer.");
  for (const auto& pool : sight.issuers) {
    out.add(sight.counts.issuer(pool).connections, {{"pool", pool}});
  }
}

}  // namespace

std::string write_front_metrics(const FrontSight& sight) {
  Exposition out;
  write_process(out, sight);
  write_pools(out, sight.report);
  write_work(out, sight);
  write_connections(out, sight);
  write_issuers(out, sight);
  return out.take();
}

}  // namespace keyd
