// Members: who enrols, who was seen, and what that means for an epoch that is late.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "authority_draft.hpp"
#include "enrolment.hpp"
#include "log.hpp"
#include "ring/generation.hpp"

namespace keyd {

using namespace ticket;
using ring::Readiness;

namespace {

constexpr seconds lately{60};               // seen since then: whom a late epoch waits for
constexpr std::size_t most_waiting = 4096;  // enrolments
constexpr std::uint16_t last_member_number = 65535;

// Certificates are valid from an hour before they are made, by ticketctl and by many a CA.
constexpr seconds backdated{3600};

// Why this certificate may not enrol; empty when nobody expelled it. Whoever broke into a
// server that is back may have an older one of its name, too; and of one that an ECDSA key
// signed anybody can make another that is as good, with another fingerprint.
std::string expulsion(const PoolState& state, const Enrolment& asked) {
  for (const auto& gone : state.expelled) {
    if (gone.name == asked.member && !gone.readmitted) {
      return asked.member + " was expelled: `ticketctl member readmit " + asked.member +
             " --pool " + state.name + "` lets it in again, with another certificate";
    }
    if (gone.fingerprint == asked.fingerprint) {
      return asked.member + " was expelled with this certificate, " + asked.fingerprint +
             ": it needs another one";
    }
    if (gone.name == asked.member && asked.valid_from < gone.at - backdated) {
      return asked.member + ", " + asked.fingerprint + ": this certificate is from before " +
             asked.member +
             " was expelled: it needs one that was made since (`ticketctl member add`)";
    }
  }
  return {};
}

// The newest generation that a member may be believed to have applied: of a clock that
// was a year ahead. One gone bad could else use up all the numbers there are.
std::uint64_t furthest(Moment now) {
  return ring::next_generation(0, Moment(now.latest + std::chrono::hours(365 * 24)));
}

// Some token epoch begins, or goes, when the members have applied it.
bool waits_for_members(const PoolTokens& tokens) {
  return std::ranges::any_of(tokens.epochs, [](const TokenEpoch& epoch) {
    return epoch.ended() || (!epoch.begun && !epoch.held);
  });
}

}  // namespace

// ---- readiness

Readiness Authority::readiness(const PoolState& state, const Pool& pool, Moment now) const {
  const auto oldest = oldest_applied(state, pool, now);
  if (!oldest) return Readiness::alone;
  return *oldest < state.generation ? Readiness::waiting : Readiness::ready;
}

// The oldest generation that a member runs on which was seen lately; nullopt when none
// was; 0 as long as those may come back that were here before this process began.
std::optional<std::uint64_t> Authority::oldest_applied(const PoolState& state, const Pool& pool,
                                                       Moment now) const {
  std::optional<std::uint64_t> oldest;
  std::size_t sighted = 0;
  std::unordered_set<std::string_view> members;
  for (const auto& member : state.members) members.insert(member.name);
  for (const auto& [name, sighting] : pool.sightings) {
    if (!members.contains(name)) continue;  // expelled
    ++sighted;
    if (seen_lately(sighting, now)) oldest = std::min(oldest.value_or(~0ULL), sighting.applied);
  }
  const bool early = now.steady < pool.known_since + lately;
  if (early && sighted < state.members.size()) return 0;
  return oldest;
}

bool Authority::seen_lately(const Sighting& sighting, Moment now) {
  return now.steady - sighting.at <= lately;
}

// ---- enrolling

void Authority::enrol(Enrol request) {
  if (enrolments_.size() >= most_waiting) {
    return publisher_.enrolled({request.id, 503, 0, 0, "too many enrolments are waiting"});
  }
  enrolments_.push_back(std::move(request));
}

void Authority::draft_enrolments(Draft& draft, Moment now) {
  for (; !enrolments_.empty(); enrolments_.pop_front()) {
    const auto& request = enrolments_.front();
    if (!pools_.contains(request.pool)) {
      publisher_.enrolled({request.id, 404, 0, 0, "no such pool"});
      continue;
    }
    const auto problem = enrol_into(draft, request, now);
    if (problem.empty()) continue;
    log_refused(
        now.steady, {.pool = request.pool, .address = request.address, .reason = "enrolment"},
        "pool " + request.pool + ": enrolment from " + request.address + " refused: " + problem);
    publisher_.enrolled({request.id, 403, 0, 0, problem});
  }
}

// Returns why not; empty when the draft has the member.
std::string Authority::enrol_into(Draft& draft, const Enrol& request, Moment now) {
  const EnrolmentRules rules{pools_.at(request.pool).setup.members_ca, &rules_, signer_public_};
  const auto checked = check_enrolment(request, rules, now);
  if (!checked) return checked.error();
  auto* state = draft.state.pool(request.pool);
  if (state == nullptr) return "the pool has no keys yet";
  if (auto why = expulsion(*state, *checked); !why.empty()) return why;

  auto member = std::ranges::find(state->members, checked->member, &Member::name);
  if (member != state->members.end() && checked->time <= member->enrolled_at) {
    return checked->member + ", " + checked->fingerprint +
           ": its time is not newer than that of its last enrolment";
  }
  if (member == state->members.end()) {
    if (state->last_member == last_member_number) return "all 65535 member numbers are used";
    const auto number = ++state->last_member;
    member = state->members.insert(member, Member{number, checked->member, {}, {}, {}});
  }
  // the renewal of a sealing key changes nothing that anybody would look for
  if (member->fingerprint != checked->fingerprint) {
    add_audit_line(draft.state.audit,
                   {{"event", "enrolled"},
                    {"pool", request.pool},
                    {"member", checked->member},
                    {"number", member->number},
                    {"certificate", checked->fingerprint},
                    {"address", request.address}},
                   now.steady);
  }
  member->fingerprint = checked->fingerprint;
  member->sealing_key = checked->sealing_key;
  member->enrolled_at = checked->time;
  draft.enrolled.emplace_back(request, checked->member);
  const auto& tokens = pools_.at(request.pool).setup.config.tokens;
  if (tokens && tokens->redeemer == checked->member) draft.next[request.pool] = now.steady;
  draft.changed = true;
  return {};
}

// ---- seeing

void Authority::seen(const std::vector<Seen>& members, Moment now) {
  std::map<std::string, Readiness> before;  // of the pools where it may change
  for (const auto& member : members) {
    if (!tells_news(member, now) || before.contains(member.pool)) continue;
    before[member.pool] = readiness(*state_.pool(member.pool), pools_.at(member.pool), now);
  }
  for (const auto& member : members) sight(member, now);
  for (const auto& [name, then] : before) {
    auto& pool = pools_.at(name);
    const bool changed = readiness(*state_.pool(name), pool, now) != then;
    if (changed || waits_for_members(state_.pool(name)->tokens)) pool.next = now.steady;
  }
}

// More than that the member still lives.
bool Authority::tells_news(const Seen& seen, Moment now) const {
  const auto pool = pools_.find(seen.pool);
  if (pool == pools_.end() || state_.pool(seen.pool) == nullptr) return false;
  const auto known = pool->second.sightings.find(seen.member);
  return known == pool->second.sightings.end() || !seen_lately(known->second, now) ||
         known->second.applied != seen.applied;
}

void Authority::sight(const Seen& seen, Moment now) {
  const auto pool = pools_.find(seen.pool);
  const auto* state = state_.pool(seen.pool);
  if (pool == pools_.end() || state == nullptr || state->member(seen.member) == nullptr) return;
  pool->second.sightings[seen.member] = {seen.applied, now.steady, seen.address};

  // Only a state restored from an old backup lies behind its members; what this
  // process began itself cannot, whatever a member says.
  const bool ahead = seen.applied > state->generation && seen.applied <= furthest(now);
  if (!ahead || !pool->second.inherited || !pool->second.overtook.insert(seen.member).second)
    return;
  pool->second.newest_applied = std::max(pool->second.newest_applied, seen.applied);
  if (!pool->second.overtaken) {
    log_event(spdlog::level::warn,
              {.pool = seen.pool, .member = seen.member, .address = seen.address},
              fmt::format("pool {}: {} has applied generation {}, newer than {}: the state is "
                          "older than its members, making a new generation",
                          seen.pool, seen.member, seen.applied, state->generation));
    pool->second.overtaken = true;
    pool->second.next = now.steady;
  }
}

}  // namespace keyd
