#include "authority.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "authority_draft.hpp"
#include "feed/bundle.hpp"
#include "log.hpp"
#include "ring/generation.hpp"
#include "token_notice.hpp"
#include "wire/layout.hpp"

namespace keyd {

using namespace ticket;
using ring::Epoch;

namespace {

constexpr seconds retry_after{5};  // a store that failed, or the audit log
constexpr seconds hold_looks{5};   // whether the clocks agree again

feed::Manifest manifest_of(const PoolState& state, const PoolConfig& config, Moment now) {
  feed::Manifest manifest;
  manifest.pool = state.name;
  manifest.generation = state.generation;
  manifest.issued_at = now.steady;
  manifest.not_after = now.steady;
  manifest.policy = config.policy;
  manifest.epochs = state.epochs;
  for (const auto& epoch : state.epochs) {
    manifest.not_after = std::max(manifest.not_after, epoch.opens_until);
  }
  for (const auto& member : state.members) manifest.members.push_back({member.number, member.name});
  manifest.revocations = state.revocations;
  if (config.tokens) manifest.tokens = token_notice(state, *config.tokens);
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

SecretBytes block_of(const PoolState& state, const PoolConfig& config) {
  return config.tokens ? token_block(state, *config.tokens) : SecretBytes();
}

crypto::Sha256 hash_of(const SecretBytes& block) {
  return block.size() == 0 ? crypto::Sha256{} : crypto::sha256(block.expose());
}

// Its secrets and its manifest tell of the same epochs: it can be published.
// They do not when keys were wiped while rotation held.
bool whole(const PoolState& state, const PoolConfig& config) {
  if (state.generation == 0) return false;
  const auto manifest = feed::parse_manifest(state.manifest);
  return manifest && manifest->epochs == state.epochs &&
         hash_of(block_of(state, config)) == state.tokens.block;
}

// Nothing to tell, or the manifest that a newer keyd would write differently.
bool stale(const PoolState& state, const PoolConfig& config) {
  const auto manifest = feed::parse_manifest(state.manifest);
  return !manifest || manifest->policy != config.policy || manifest->epochs != state.epochs ||
         hash_of(block_of(state, config)) != state.tokens.block ||
         feed::write_manifest(*manifest) != state.manifest;
}

// The generation that stands now is what these were told in.
void note_generation(PoolState& state) {
  for (auto& epoch : state.tokens.epochs) {
    if (epoch.announced_in == 0) epoch.announced_in = state.generation;
    if (epoch.ended() && epoch.ended_in == 0) epoch.ended_in = state.generation;
  }
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
    pool.issuing.begin_anew();
  }
  pools_ = std::move(configured);
  for (const auto& state : state_.pools) {
    const auto pool = pools_.find(state.name);
    if (pool != pools_.end() && whole(state, pool->second.setup.config)) publish(state);
  }
}

void Authority::tend(Moment now) {
  if (draft_) return;  // stored() will come back here
  draft_ = std::make_unique<Draft>();
  draft_->state = state_.copy();
  draft_->changed = unstored_;
  draft_->at = now.steady;
  const bool hurry = std::exchange(hurry_, false);
  if (now.steady >= retry_at_ || hurry) {
    draft_orders(*draft_, now);
    draft_rotations(*draft_, now);
  }
  draft_enrolments(*draft_, now);
  if (draft_->changed) return commit(now);
  const auto draft = std::move(draft_);
  succeed(*draft, now);
}

// The schedules go by the steady clock, and are of the pools that are configured. What ends by
// the wall clock, or of a pool that no longer is, ends all the same.
sys_seconds Authority::next(Moment now) const {
  if (draft_) return sys_seconds::max();
  if (!enrolments_.empty() || hurry_) return sys_seconds::min();
  const bool set = holding_ == clock_problem(state_, now).empty();
  auto next = set || !orders_.empty() ? sys_seconds::min() : sys_seconds::max();
  for (const auto& [name, pool] : pools_) next = std::min(next, pool.next);
  for (const auto& state : state_.pools) {
    for (const auto& epoch : state.epochs) {
      if (!epoch.burned) next = std::min(next, epoch.opens_until - (now.latest - now.steady));
    }
  }
  return std::max(next, retry_at_);
}

// ---- rotation

void Authority::draft_rotations(Draft& draft, Moment now) {
  const auto problem = clock_problem(draft.state, now);
  if (!problem.empty() && !holding_) spdlog::error("{}", problem);
  if (problem.empty() && holding_) spdlog::info("the clocks agree again, rotation goes on");
  holding_ = !problem.empty();
  // an accepted clock that could not be stored comes again
  const bool accepted = std::ranges::any_of(draft.done, [](const Draft::Done& done) {
    return done.order.order.kind == Order::Kind::accept_clock;
  });
  if (!holding_ && !accepted) doubtful_.clear();

  for (const auto& [name, pool] : pools_) {
    auto* state = draft.state.pool(name);
    if (state == nullptr) {
      state = &draft.state.pools.emplace_back();
      state->name = name;
    }
    draft_tokens(draft, *state, pool, now);
    const bool ordered = draft.renewed.contains(name) || draft.rotated.contains(name);
    if (holding_ && !ordered) {
      draft.changed |= drop_expired(*state, now);
      draft.next[name] = now.steady + hold_looks;
    } else {
      draft_plan(draft, *state, pool, now);
    }
    const auto tokens = draft.next_tokens.find(name);
    if (tokens != draft.next_tokens.end()) {
      draft.next[name] = std::min(draft.next[name], tokens->second);
    }
  }
  for (auto& state : draft.state.pools) {
    if (pools_.contains(state.name)) continue;
    draft.changed |= drop_expired(state, now);
    drop_tokens(draft, state);
  }
}

// Of pools that left the configuration, and of all while rotation holds or nothing can be
// stored: what is published stays as it is, but the keeper keeps no key past its time.
bool Authority::drop_expired(PoolState& state, Moment now) {
  auto living = state.epochs;
  std::erase_if(living, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });
  if (living.size() == state.epochs.size()) return false;
  state.secrets = ring::carry_over(state.epochs, state.secrets, living);
  state.epochs = std::move(living);
  return true;
}

void Authority::draft_plan(Draft& draft, PoolState& state, const Pool& pool, Moment now) const {
  const auto& policy = pool.setup.config.policy;
  std::vector<Epoch> burned, standing;
  for (const auto& epoch : state.epochs) (epoch.burned ? burned : standing).push_back(epoch);
  const auto over = std::erase_if(
      standing, [now](const Epoch& epoch) { return now.latest >= epoch.opens_until; });

  const bool ordered = draft.rotated.contains(state.name);
  const auto planner = ordered ? ring::plan_rotation_now : ring::plan_rotation;
  // An order that comes while rotation holds changes no epoch's times: by a clock that is
  // behind, one that seals looks announced, and would be let seal for longer.
  auto plan = holding_ && !standing.empty()
                  ? ring::Plan{standing, state.last_epoch, false, now.steady + hold_looks}
                  : planner(standing, state.last_epoch, policy, now, readiness(state, pool, now));
  draft.next[state.name] = plan.next;
  const bool renewed = over != 0 || draft.renewed.contains(state.name);
  if (!plan.changed && !renewed && !pool.overtaken && !stale(state, pool.setup.config)) return;

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
  note_generation(state);
  state.tokens.block = hash_of(block_of(state, pool.setup.config));
  if (tokens_withheld(state)) spdlog::error("pool {}: {}", state.name, tokens_withheld_text);
  state.manifest = feed::write_manifest(manifest_of(state, pool.setup.config, now));
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
  unstored_ = false;
  retry_at_ = {};
  succeed(*draft, now);
}

void Authority::succeed(Draft& draft, Moment now) {
  if (draft.changed) state_ = std::move(draft.state);
  doubtful_.merge(draft.doubtful);
  write_audit_lines();
  for (const auto& [name, next] : draft.next) {
    if (const auto pool = pools_.find(name); pool != pools_.end()) pool->second.next = next;
  }
  if (!audit_problem_.empty()) look_again(now.steady + retry_after);
  adopt_heard(draft);
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
  tend_issuers(now);
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
    if (done.order.order.kind == Order::Kind::rotate_issuer) {
      told["epoch"] = draft.next_issuing.at(done.order.order.pool);
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

void Authority::look_again(sys_seconds time) {
  for (auto& [name, pool] : pools_) pool.next = std::min(pool.next, time);
}

// The old generation stands; what was drawn is dropped unused and wiped.
void Authority::fail(Draft& draft, const std::string& problem, Moment now) {
  ++store_failures_;
  if (store_problem_.empty()) store_problem_since_ = now.steady;
  if (store_problem_ != problem) spdlog::error("{}: nothing new is published", problem);
  store_problem_ = problem;
  retry_at_ = now.steady + retry_after;
  // also what was drafted before its time, as by clocks that agree again
  look_again(retry_at_);
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
  wipe_what_is_over(now);
  tend_issuers(now);
}

// Whatever the disk still has, no key outlives its time in this process: none of a ticket, which
// a configuration that is read again would else have published anew, and none of a token.
void Authority::wipe_what_is_over(Moment now) {
  for (auto& state : state_.pools) {
    const auto time = time_of(state, now);
    unstored_ |= drop_expired(state, time);
    unstored_ |= wipe_tokens(state, time, now.steady);
  }
}

void Authority::publish(const PoolState& state) {
  const auto manifest = feed::parse_manifest(state.manifest);
  if (!manifest) return spdlog::critical("pool {}: no manifest comes of its state", state.name);
  Publish message{state.name, state.generation, {}, {}};
  const auto tokens = block_of(state, pools_.at(state.name).setup.config);
  message.bundle = feed::write_bundle(feed::seal_bundle(*manifest, state.secrets, keys_.signer,
                                                        state.content_key, tokens.expose()));
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
