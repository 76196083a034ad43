// What the authority tells those who watch it: counts and the status page.
#include <algorithm>
#include <tuple>

#include "authority.hpp"
#include "feed/bundle.hpp"

namespace keyd {

using namespace ticket;

namespace {

std::int64_t unix_seconds(sys_seconds time) { return time.time_since_epoch().count(); }

// Whoever needs attention first: the unseen, then those behind.
void keep_the_worst(std::vector<MemberReport>& members) {
  std::ranges::sort(members, {}, [](const MemberReport& member) {
    return std::make_tuple(member.last_seen != 0, member.applied, member.number);
  });
  if (members.size() > PoolReport::most_members) members.resize(PoolReport::most_members);
}

IssuerReport issuer_report(const PoolState& state, const PoolIssuing& issuing, Moment now) {
  IssuerReport report;
  for (const auto& epoch : state.tokens.epochs) {
    const std::string_view is = epoch.state(now);
    report.announced += is == "announced" ? 1 : 0;
    report.issuing += is == "issuing" ? 1 : 0;
    report.redeeming += is == "redeeming" ? 1 : 0;
    report.ended += is == "ended" ? 1 : 0;
  }
  report.issued_blind_rsa = issuing.issued[0];
  report.issued_ristretto = issuing.issued[1];
  report.records_lost = issuing.records_lost;
  return report;
}

}  // namespace

Report Authority::report(Moment now) const {
  Report report{store_failures_, now.apart.count(), {}};
  for (const auto& [name, pool] : pools_) {
    PoolState nothing;
    nothing.name = name;
    const auto* state = state_.pool(name);
    report.pools.push_back(report_of(state == nullptr ? nothing : *state, pool, now));
  }
  return report;
}

PoolReport Authority::report_of(const PoolState& state, const Pool& pool, Moment now) const {
  PoolReport report;
  report.name = state.name;
  report.generation = state.generation;
  if (const auto manifest = feed::parse_manifest(state.manifest)) {
    report.issued_at = unix_seconds(manifest->issued_at);
    report.not_after = unix_seconds(manifest->not_after);
  }
  const auto* seals = sealing(state, pool, now);
  for (const auto& epoch : state.epochs) {
    report.epochs.push_back({epoch.number, ring::to_text(shown_state(epoch, seals, now)),
                             unix_seconds(epoch.made), unix_seconds(epoch.seals_from),
                             unix_seconds(epoch.seals_until), unix_seconds(epoch.opens_until)});
  }
  report_members(report, state, pool, now);
  report.alarms = alarms(state, pool, now);
  if (pool.setup.config.tokens) report.issuer = {issuer_report(state, pool.issuing, now)};
  return report;
}

void Authority::report_members(PoolReport& report, const PoolState& state, const Pool& pool,
                               Moment now) {
  report.enrolled = state.members.size();
  for (const auto& member : state.members) {
    const auto found = pool.sightings.find(member.name);
    const auto sighting = found == pool.sightings.end() ? Sighting{} : found->second;
    report.members.push_back({member.number, member.name, sighting.applied,
                              unix_seconds(sighting.at), sighting.address});
    if (!seen_lately(sighting, now)) continue;
    report.oldest_applied =
        report.seen == 0 ? sighting.applied : std::min(report.oldest_applied, sighting.applied);
    ++report.seen;
    if (sighting.applied >= state.generation) ++report.current;
  }
  keep_the_worst(report.members);
}

}  // namespace keyd
