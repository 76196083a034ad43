#include "authority.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "enrolment.hpp"
#include "feed/bundle.hpp"

namespace keyd {

using namespace ticket;
using ring::Epoch;
using ring::Readiness;

namespace {

constexpr seconds retry_after{5};           // a store that failed
constexpr seconds seen_lately{60};          // whom a late epoch waits for
constexpr std::size_t most_waiting = 4096;  // enrolments and orders, each
constexpr std::uint16_t last_member_number = 65535;

std::uint64_t next_generation(std::uint64_t last, Moment now) {
  const auto unix_milliseconds =
      static_cast<std::uint64_t>(now.latest.time_since_epoch().count()) * 1000;
  return std::max(last + 1, unix_milliseconds);
}

// The secrets for `epochs`: those of `before` carried over by number, new ones
// drawn, the rest left behind and so wiped.
SecretBytes carry_over(const PoolState& before, std::vector<Epoch>& epochs) {
  SecretBytes secrets(epochs.size() * 32);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    const auto into = secrets.fill().subspan(i * 32, 32);
    const auto old = std::ranges::find(before.epochs, epochs[i].number, &Epoch::number);
    if (old == before.epochs.end()) {
      randombytes_buf(epochs[i].id.data(), epochs[i].id.size());
      randombytes_buf(into.data(), into.size());
    } else {
      const auto at = static_cast<std::size_t>(old - before.epochs.begin());
      std::ranges::copy(before.secrets.expose().subspan(at * 32, 32), into.begin());
    }
  }
  return secrets;
}

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
  return manifest;
}

MemberWrap wrap_for(const Member& member, const feed::ContentKey& content_key) {
  return {member.name, member.number,
          base64url(feed::seal_wrap(member.sealing_key, content_key, member.number))};
}

// Nothing to tell, or the manifest that a newer keyd would write differently.
bool stale(const PoolState& state, const ring::Policy& policy) {
  const auto manifest = feed::parse_manifest(state.manifest);
  return !manifest || manifest->policy != policy ||
         feed::write_manifest(*manifest) != state.manifest;
}

}  // namespace

// What is being stored, and whom to tell how that went.
struct Authority::Draft {
  KeeperState state;
  std::map<std::string, sys_seconds> next;              // of each pool's schedule
  std::set<std::string> generations;                    // pools that have a new one
  std::vector<std::pair<Enrol, std::string>> enrolled;  // with the member's name
  std::vector<Rotation> rotated;
  bool changed = false;
};

Authority::Authority(AuthorityKeys keys, KeeperState state, StateStore& store, Publisher& publisher)
    : keys_(std::move(keys)),
      signer_public_(crypto::signer_public(keys_.signer)),
      state_(std::move(state)),
      store_(store),
      publisher_(publisher) {}

Authority::~Authority() = default;

void Authority::configure(std::vector<PoolSetup> pools, Moment now) {
  std::map<std::string, Pool> configured;
  rules_.clear();
  for (auto& setup : pools) {
    const auto name = setup.config.name;
    auto& pool = configured[name];
    pool.known_since = now.steady;
    if (const auto known = pools_.find(name); known != pools_.end())
      pool = std::move(known->second);
    rules_.push_back({name, setup.config.rules});
    pool.setup = std::move(setup);
    pool.next = now.steady;
  }
  pools_ = std::move(configured);
  for (const auto& state : state_.pools) {
    if (pools_.contains(state.name) && state.generation > 0) publish(state);
  }
}

void Authority::tend(Moment now) {
  if (draft_) return;  // stored() will come back here
  draft_ = std::make_unique<Draft>();
  draft_->state = state_.copy();
  if (now.steady >= retry_at_ || !rotations_.empty()) draft_rotations(*draft_, now);
  draft_enrolments(*draft_, now);
  if (draft_->changed) return commit(now);
  const auto draft = std::move(draft_);
  succeed(*draft);
}

sys_seconds Authority::next() const {
  if (draft_) return sys_seconds::max();
  if (!enrolments_.empty() || !rotations_.empty()) return sys_seconds::min();
  auto next = sys_seconds::max();
  for (const auto& [name, pool] : pools_) next = std::min(next, pool.next);
  return std::max(next, retry_at_);
}

// ---- rotation

void Authority::draft_rotations(Draft& draft, Moment now) {
  for (auto& order : std::exchange(rotations_, {})) {
    order.at = now.steady;
    draft.rotated.push_back(std::move(order));
  }
  for (const auto& [name, pool] : pools_) {
    auto* state = draft.state.pool(name);
    if (state == nullptr) {
      state = &draft.state.pools.emplace_back();
      state->name = name;
    }
    draft_plan(draft, *state, pool, now);
  }
  drop_expired(draft, now);
}

// Of pools that left the configuration.
void Authority::drop_expired(Draft& draft, Moment now) const {
  for (auto& state : draft.state.pools) {
    if (pools_.contains(state.name)) continue;
    auto living = state.epochs;
    std::erase_if(living, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });
    if (living.size() == state.epochs.size()) continue;
    state.secrets = carry_over(state, living);
    state.epochs = std::move(living);
    draft.changed = true;
  }
}

void Authority::draft_plan(Draft& draft, PoolState& state, const Pool& pool, Moment now) const {
  const auto& policy = pool.setup.config.policy;
  const bool ordered = std::ranges::count(draft.rotated, state.name, &Rotation::pool) > 0;
  const auto planner = ordered ? ring::plan_rotation_now : ring::plan_rotation;
  auto plan = planner(state.epochs, state.last_epoch, policy, now, readiness(state, pool, now));
  draft.next[state.name] = plan.next;
  if (!plan.changed && !pool.overtaken && !stale(state, policy)) return;
  state.last_epoch = plan.last_number;
  draft_generation(draft, state, pool, std::move(plan.epochs), now);
}

void Authority::draft_generation(Draft& draft, PoolState& state, const Pool& pool,
                                 std::vector<Epoch> epochs, Moment now) const {
  state.secrets = carry_over(state, epochs);
  state.epochs = std::move(epochs);
  state.generation = next_generation(state.generation, now);
  state.content_key = feed::ContentKey::random();
  state.manifest = feed::write_manifest(manifest_of(state, pool.setup.config.policy, now));
  draft.generations.insert(state.name);
  draft.changed = true;
}

Readiness Authority::readiness(const PoolState& state, const Pool& pool, Moment now) const {
  auto found = Readiness::alone;
  // just started: who was here before may still come back
  const bool early = now.steady < pool.known_since + seen_lately;
  if (early && pool.sightings.size() < state.members.size()) return Readiness::waiting;
  for (const auto& [name, sighting] : pool.sightings) {
    if (now.steady - sighting.at > seen_lately) continue;
    if (sighting.applied < state.generation) return Readiness::waiting;
    found = Readiness::ready;
  }
  return found;
}

void Authority::rotate(const std::string& pool, Answer done) {
  if (!pools_.contains(pool)) {
    return done({{"ok", false}, {"error", "no pool is called '" + pool + "'"}});
  }
  if (rotations_.size() >= most_waiting) {
    return done({{"ok", false}, {"error", "too many orders are waiting"}});
  }
  rotations_.push_back({pool, std::move(done)});
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
    spdlog::warn("pool {}: enrolment from {} refused: {}", request.pool, request.address, problem);
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
  member->fingerprint = checked->fingerprint;
  member->sealing_key = checked->sealing_key;
  member->enrolled_at = checked->time;
  draft.enrolled.emplace_back(request, checked->member);
  draft.changed = true;
  return {};
}

void Authority::seen(const Seen& seen, Moment now) {
  const auto pool = pools_.find(seen.pool);
  const auto* state = state_.pool(seen.pool);
  if (pool == pools_.end() || state == nullptr || state->member(seen.member) == nullptr) return;
  const auto before = readiness(*state, pool->second, now);
  pool->second.sightings[seen.member] = {seen.applied, now.steady, seen.address};
  if (readiness(*state, pool->second, now) != before) pool->second.next = now.steady;

  // Only a state restored from an old backup lies behind its members; what this
  // process made itself cannot, whatever a member says.
  const bool ahead = seen.applied > state->generation;
  if (ahead && pool->second.inherited && !pool->second.overtaken) {
    spdlog::warn(
        "pool {}: {} has applied generation {}, newer than {}: the state is older than "
        "its members, making a new generation",
        seen.pool, seen.member, seen.applied, state->generation);
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
  for (const auto& [name, next] : draft.next) {
    if (const auto pool = pools_.find(name); pool != pools_.end()) pool->second.next = next;
  }
  for (const auto& name : draft.generations) {
    const auto pool = pools_.find(name);
    if (pool == pools_.end()) continue;
    pool->second.inherited = pool->second.overtaken = false;
    const auto& state = *state_.pool(name);
    spdlog::info("pool {}: generation {} with epochs {} to {}, {} members", name, state.generation,
                 state.epochs.empty() ? 0 : state.epochs.front().number, state.last_epoch,
                 state.members.size());
    publish(state);
  }
  answer(draft);
}

void Authority::answer(const Draft& draft) {
  for (const auto& [request, name] : draft.enrolled) {
    const auto& state = *state_.pool(request.pool);
    const auto& member = *state.member(name);
    if (!draft.generations.contains(request.pool)) add_wrap(state, name);
    spdlog::info("pool {}: {} enrolled as member {} with {} from {}", request.pool, name,
                 member.number, member.fingerprint, request.address);
    publisher_.enrolled({request.id, 200, member.number, state.generation, {}});
  }
  for (const auto& order : draft.rotated) {
    const auto& state = *state_.pool(order.pool);
    const auto pool = pools_.find(order.pool);
    const auto* epoch =
        pool == pools_.end() ? nullptr : sealing(state, pool->second, Moment(order.at));
    spdlog::info("pool {}: rotated by order, generation {}", order.pool, state.generation);
    order.done({{"ok", true},
                {"generation", state.generation},
                {"sealing", epoch == nullptr ? 0 : epoch->number}});
  }
}

// The old generation stands; what was drawn is dropped unused and wiped.
void Authority::fail(Draft& draft, const std::string& problem, Moment now) {
  if (store_problem_.empty()) store_problem_since_ = now.steady;
  if (store_problem_ != problem) spdlog::error("{}: nothing new is published", problem);
  store_problem_ = problem;
  retry_at_ = now.steady + retry_after;
  for (const auto& [request, name] : draft.enrolled) {
    publisher_.enrolled({request.id, 503, 0, 0, "the state cannot be stored"});
  }
  for (const auto& order : draft.rotated) order.done({{"ok", false}, {"error", problem}});
}

void Authority::publish(const PoolState& state) {
  const auto manifest = feed::parse_manifest(state.manifest);
  if (!manifest) return;  // of another version of keyd: tend() makes a new generation
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
