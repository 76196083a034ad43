#include "authority.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "authority_draft.hpp"
#include "enrolment.hpp"
#include "feed/bundle.hpp"
#include "log.hpp"
#include "ring/generation.hpp"
#include "wire/layout.hpp"

namespace keyd {

using namespace ticket;
using ring::Epoch;
using ring::Readiness;

namespace {

constexpr seconds retry_after{5};           // a store that failed
constexpr seconds hold_looks{5};            // whether the clocks agree again
constexpr seconds lately{60};               // seen since then: whom a late epoch waits for
constexpr std::size_t most_waiting = 4096;  // enrolments and orders, each
constexpr std::uint16_t last_member_number = 65535;

feed::Manifest manifest_of(const PoolState& state, const ring::Policy& policy, Moment now) {
  feed::Manifest manifest;
  manifest.pool = state.name;
  manifest.generation = state.generation;
  manifest.issued_at = now.steady;
  manifest.not_after = now.steady;
  manifest.policy = policy;
  manifest.epochs = state.epochs;
  for (const auto& epoch : state.epochs) {
    manifest.not_after = std::max(manifest.not_after, epoch.opens_until);
  }
  for (const auto& member : state.members) manifest.members.push_back({member.number, member.name});
  manifest.revocations = state.revocations;
  return manifest;
}

MemberWrap wrap_for(const Member& member, const feed::ContentKey& content_key) {
  return {member.name, member.number,
          base64url(feed::seal_wrap(member.sealing_key, content_key, member.number))};
}

// A revocation goes with the last key that could have sealed what it names.
void drop_revocations(PoolState& state) {
  std::erase_if(state.revocations, [&state](const ring::Revocation& revocation) {
    return std::ranges::none_of(state.epochs, [&revocation](const Epoch& epoch) {
      return !epoch.burned && epoch.seals_from <= revocation.until;
    });
  });
}

// Its secrets and its manifest tell of the same epochs: it can be published.
// They do not when keys were wiped while rotation held.
bool whole(const PoolState& state) {
  if (state.generation == 0) return false;
  const auto manifest = feed::parse_manifest(state.manifest);
  return manifest && manifest->epochs == state.epochs;
}

// Why this certificate may not enrol; empty when nobody expelled it.
std::string expulsion(const PoolState& state, const std::string& name,
                      const std::string& fingerprint) {
  for (const auto& gone : state.expelled) {
    if (gone.name == name && !gone.readmitted) {
      return name + " was expelled: `ticketctl member readmit " + name + " --pool " + state.name +
             "` lets it in again, with another certificate";
    }
    if (gone.fingerprint == fingerprint) {
      return name + " was expelled with this certificate, " + fingerprint +
             ": it needs another one";
    }
  }
  return {};
}

// The newest generation that a member may be believed to have applied: of a clock that
// was a year ahead. One gone bad could else use up all the numbers there are.
std::uint64_t furthest(Moment now) {
  return ring::next_generation(0, Moment(now.latest + std::chrono::hours(365 * 24)));
}

// Nothing to tell, or the manifest that a newer keyd would write differently.
bool stale(const PoolState& state, const ring::Policy& policy) {
  const auto manifest = feed::parse_manifest(state.manifest);
  return !manifest || manifest->policy != policy || manifest->epochs != state.epochs ||
         feed::write_manifest(*manifest) != state.manifest;
}

}  // namespace

Authority::Authority(AuthorityKeys keys, KeeperState state, StateStore& store, AuditStore& audit,
                     Publisher& publisher)
    : keys_(std::move(keys)),
      signer_public_(crypto::signer_public(keys_.signer)),
      state_(std::move(state)),
      store_(store),
      audit_(audit),
      publisher_(publisher) {}

Authority::~Authority() = default;

void Authority::configure(std::vector<PoolSetup> pools, Moment now) {
  std::map<std::string, Pool> configured;
  rules_.clear();
  for (auto& setup : pools) {
    const auto name = setup.config.name;
    auto& pool = configured[name];
    pool.known_since = now.steady;
    const auto* state = state_.pool(name);
    pool.inherited = state != nullptr && state->generation != 0;
    pool.overtaken = state_.restored;
    if (const auto known = pools_.find(name); known != pools_.end())
      pool = std::move(known->second);
    rules_.push_back({name, setup.config.rules});
    pool.setup = std::move(setup);
    pool.next = now.steady;
  }
  pools_ = std::move(configured);
  for (const auto& state : state_.pools) {
    if (pools_.contains(state.name) && whole(state)) publish(state);
  }
}

void Authority::tend(Moment now) {
  if (draft_) return;  // stored() will come back here
  draft_ = std::make_unique<Draft>();
  draft_->state = state_.copy();
  draft_->at = now.steady;
  const bool hurry = std::exchange(hurry_, false);
  if (now.steady >= retry_at_ || hurry) {
    draft_orders(*draft_, now);
    draft_rotations(*draft_, now);
  }
  draft_enrolments(*draft_, now);
  if (draft_->changed) return commit(now);
  const auto draft = std::move(draft_);
  succeed(*draft);
}

sys_seconds Authority::next() const {
  if (draft_) return sys_seconds::max();
  if (!enrolments_.empty() || hurry_) return sys_seconds::min();
  auto next = orders_.empty() ? sys_seconds::max() : sys_seconds::min();
  for (const auto& [name, pool] : pools_) next = std::min(next, pool.next);
  return std::max(next, retry_at_);
}

// ---- rotation

void Authority::draft_rotations(Draft& draft, Moment now) {
  const auto problem = clock_problem(draft.state, now);
  if (!problem.empty() && !holding_) spdlog::error("{}", problem);
  if (problem.empty() && holding_) spdlog::info("the clocks agree again, rotation goes on");
  holding_ = !problem.empty();

  for (const auto& [name, pool] : pools_) {
    auto* state = draft.state.pool(name);
    if (state == nullptr) {
      state = &draft.state.pools.emplace_back();
      state->name = name;
    }
    const bool ordered = draft.renewed.contains(name) || draft.rotated.contains(name);
    if (holding_ && !ordered) {
      drop_expired(draft, *state, now);
      draft.next[name] = now.steady + hold_looks;
    } else {
      draft_plan(draft, *state, pool, now);
    }
  }
  for (auto& state : draft.state.pools) {
    if (!pools_.contains(state.name)) drop_expired(draft, state, now);
  }
}

// Of pools that left the configuration, and of all while rotation holds: what is
// published stays as it is, but the keeper keeps no key past its time.
void Authority::drop_expired(Draft& draft, PoolState& state, Moment now) const {
  auto living = state.epochs;
  std::erase_if(living, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });
  if (living.size() == state.epochs.size()) return;
  state.secrets = ring::carry_over(state.epochs, state.secrets, living);
  state.epochs = std::move(living);
  draft.changed = true;
}

void Authority::draft_plan(Draft& draft, PoolState& state, const Pool& pool, Moment now) const {
  const auto& policy = pool.setup.config.policy;
  std::vector<Epoch> burned, standing;
  for (const auto& epoch : state.epochs) (epoch.burned ? burned : standing).push_back(epoch);
  std::erase_if(standing, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });

  const bool ordered = draft.rotated.contains(state.name);
  const auto planner = ordered ? ring::plan_rotation_now : ring::plan_rotation;
  // An order that comes while rotation holds changes no epoch's times: by a clock that is
  // behind, one that seals looks announced, and would be let seal for longer.
  auto plan = holding_ && !standing.empty()
                  ? ring::Plan{standing, state.last_epoch, false, now.steady + hold_looks}
                  : planner(standing, state.last_epoch, policy, now, readiness(state, pool, now));
  draft.next[state.name] = plan.next;
  const bool renewed = draft.renewed.contains(state.name);
  if (!plan.changed && !renewed && !pool.overtaken && !stale(state, policy)) return;

  state.last_epoch = plan.last_number;
  std::erase_if(burned, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });
  while (burned.size() + plan.epochs.size() > wire::max_epochs) burned.erase(burned.begin());
  burned.insert(burned.end(), plan.epochs.begin(), plan.epochs.end());
  draft_generation(draft, state, pool, std::move(burned), now);
}

void Authority::draft_generation(Draft& draft, PoolState& state, const Pool& pool,
                                 std::vector<Epoch> epochs, Moment now) const {
  state.secrets = ring::carry_over(state.epochs, state.secrets, epochs);
  state.epochs = std::move(epochs);
  state.generation = ring::next_generation(std::max(state.generation, pool.newest_applied), now);
  state.content_key = feed::ContentKey::random();
  drop_revocations(state);
  state.manifest = feed::write_manifest(manifest_of(state, pool.setup.config.policy, now));
  draft.generations.insert(state.name);
  draft.changed = true;
  add_audit_line(draft.state.audit,
                 {{"event", "generation"},
                  {"pool", state.name},
                  {"generation", state.generation},
                  {"last_epoch", state.last_epoch},
                  {"members", state.members.size()}},
                 now.steady);
}

Readiness Authority::readiness(const PoolState& state, const Pool& pool, Moment now) const {
  auto found = Readiness::alone;
  std::size_t sighted = 0;
  bool behind = false;
  std::unordered_set<std::string_view> members;
  for (const auto& member : state.members) members.insert(member.name);
  for (const auto& [name, sighting] : pool.sightings) {
    if (!members.contains(name)) continue;  // expelled
    ++sighted;
    if (!seen_lately(sighting, now)) continue;
    behind |= sighting.applied < state.generation;
    found = Readiness::ready;
  }
  // just started: who was here before may still come back
  const bool early = now.steady < pool.known_since + lately;
  if (behind || (early && sighted < state.members.size())) return Readiness::waiting;
  return found;
}

bool Authority::seen_lately(const Sighting& sighting, Moment now) {
  return now.steady - sighting.at <= lately;
}

// ---- members

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
  if (auto why = expulsion(*state, checked->member, checked->fingerprint); !why.empty()) return why;

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
  draft.changed = true;
  return {};
}

void Authority::seen(const std::vector<Seen>& members, Moment now) {
  std::map<std::string, Readiness> before;  // of the pools where it may change
  for (const auto& member : members) {
    if (!tells_news(member, now) || before.contains(member.pool)) continue;
    before[member.pool] = readiness(*state_.pool(member.pool), pools_.at(member.pool), now);
  }
  for (const auto& member : members) sight(member, now);
  for (const auto& [name, then] : before) {
    auto& pool = pools_.at(name);
    if (readiness(*state_.pool(name), pool, now) != then) pool.next = now.steady;
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

// ---- storing, then telling

void Authority::commit(Moment now) {
  draft_->state.counter = state_.counter + 1;
  auto blob = seal_state(keys_.state, draft_->state);
  store_.store(state_.counter, std::move(blob),
               [this, now](const std::string& problem) { stored(problem, now); });
}

void Authority::stored(const std::string& problem, Moment now) {
  const auto draft = std::move(draft_);
  if (!problem.empty()) return fail(*draft, problem, now);
  if (!store_problem_.empty()) spdlog::info("the state can be stored again");
  store_problem_.clear();
  retry_at_ = {};
  succeed(*draft);
}

void Authority::succeed(Draft& draft) {
  if (draft.changed) state_ = std::move(draft.state);
  write_audit_lines();
  for (const auto& [name, next] : draft.next) {
    if (const auto pool = pools_.find(name); pool != pools_.end()) pool->second.next = next;
  }
  for (const auto& name : draft.generations) {
    const auto pool = pools_.find(name);
    if (pool == pools_.end()) continue;
    pool->second.overtaken = false;
    const auto& state = *state_.pool(name);
    log_event(spdlog::level::info, {.pool = name, .generation = state.generation},
              fmt::format("pool {}: generation {} with epochs {} to {}, {} members", name,
                          state.generation, state.epochs.empty() ? 0 : state.epochs.front().number,
                          state.last_epoch, state.members.size()));
    publish(state);
  }
  answer(draft);
}

void Authority::answer(const Draft& draft) {
  for (const auto& [request, name] : draft.enrolled) {
    const auto& state = *state_.pool(request.pool);
    const auto& member = *state.member(name);
    if (!draft.generations.contains(request.pool)) add_wrap(state, name);
    log_event(spdlog::level::info,
              {.pool = request.pool, .member = name, .address = request.address},
              fmt::format("pool {}: {} enrolled as member {} with {} from {}", request.pool, name,
                          member.number, member.fingerprint, request.address));
    publisher_.enrolled({request.id, 200, member.number, state.generation, {}});
  }
  for (const auto& done : draft.done) {
    auto told = done.answer;
    told["ok"] = true;
    if (const auto* state = state_.pool(done.order.order.pool)) {
      const auto pool = pools_.find(state->name);
      const auto* epoch =
          pool == pools_.end() ? nullptr : sealing(*state, pool->second, Moment(draft.at));
      told["generation"] = state->generation;
      told["sealing"] = epoch == nullptr ? 0 : epoch->number;
    }
    done.order.done(std::move(told));
  }
}

void Authority::write_audit_lines() {
  if (state_.audit.unwritten.empty()) return;
  auto problem = audit_.append(state_.audit);
  if (problem.empty()) state_.audit.unwritten.clear();
  if (!problem.empty() && problem != audit_problem_) spdlog::error("{}", problem);
  audit_problem_ = std::move(problem);
}

// The old generation stands; what was drawn is dropped unused and wiped.
void Authority::fail(Draft& draft, const std::string& problem, Moment now) {
  ++store_failures_;
  if (store_problem_.empty()) store_problem_since_ = now.steady;
  if (store_problem_ != problem) spdlog::error("{}: nothing new is published", problem);
  store_problem_ = problem;
  retry_at_ = now.steady + retry_after;
  for (const auto& [request, name] : draft.enrolled) {
    publisher_.enrolled({request.id, 503, 0, 0, "the state cannot be stored"});
  }
  for (auto& done : draft.done) {
    // The clock has been accepted: the epochs follow as soon as they can be stored.
    if (done.order.order.kind == Order::Kind::accept_clock) {
      orders_.push_back(std::move(done.order));
    } else {
      done.order.done({{"ok", false}, {"error", problem}});
    }
  }
}

void Authority::publish(const PoolState& state) {
  const auto manifest = feed::parse_manifest(state.manifest);
  Publish message{state.name, state.generation, {}, {}};
  message.bundle = feed::write_bundle(
      feed::seal_bundle(*manifest, state.secrets, keys_.signer, state.content_key));
  for (const auto& member : state.members) {
    message.wraps.push_back(wrap_for(member, state.content_key));
  }
  publisher_.publish(std::move(message));
}

void Authority::add_wrap(const PoolState& state, const std::string& member) {
  publisher_.add_wrap(
      {state.name, state.generation, wrap_for(*state.member(member), state.content_key)});
}

}  // namespace keyd
