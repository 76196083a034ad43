#include "token_service.hpp"

#include <algorithm>
#include <system_error>

#include "redeem/tables.hpp"
#include "replay/cascade.hpp"

namespace keyd {

using spdlog::level::level_enum;
using ticket::Moment;
using ticket::redeem::Gate;
using ticket::redeem::Outcome;
using ticket::replay::Cascade;
using ticket::replay::Verdict;

namespace {

constexpr std::size_t longest_told = 100;  // of an origin, in the log

bool same(const ticket::SecretBytes& a, const ticket::SecretBytes& b) {
  return a.size() == b.size() &&
         (a.size() == 0 || sodium_memcmp(a.expose().data(), b.expose().data(), a.size()) == 0);
}

}  // namespace

TokenService::TokenService(Settings settings, const ticket::Clock& clock)
    : settings_(std::move(settings)), clock_(clock) {}

// The shared record ends first: its last answers find this whole.
TokenService::~TokenService() { settings_.shared.reset(); }

// ---- the ring

void TokenService::follow(const ticket::ring::Ring* ring) {
  const auto now = clock_.now();
  if (ring != nullptr) issued_ = ring->issued_at;
  if (ring == nullptr || ring->tokens.size() == 0) {
    forget();
  } else if (!same(ring->tokens, block_) || ring->member != member_ || !gate_) {
    take_over(*ring, now);
  } else {
    make_tables(now);
    gate_->tend(now);
  }
  look_for_trouble(now);
}

void TokenService::forget() {
  block_ = {};
  gate_.reset();
  epochs_.clear();
  trouble_ = "the ring has no tokens: keyd names no issuer for the pool, or has not been heard";
}

void TokenService::take_over(const ticket::ring::Ring& ring, Moment now) {
  block_ = ticket::SecretBytes::copy_of(ring.tokens.expose());
  member_ = ring.member;
  const auto block = ticket::wire::parse_token_block(block_.expose());
  if (!block) {
    forget();
    trouble_ = "the ring's token block does not parse";
    return;
  }
  shared_ = block->record == ticket::wire::TokenRecord::redis;
  redeems_here_ = !shared_ && block->redeemer == member_;
  epochs_.clear();
  for (const auto& epoch : block->epochs) {
    epochs_.push_back({epoch.number, {settings_.pool, epoch.id, epoch.sentinel, epoch.capacity}});
  }
  make_tables(now);  // first: the gate finds them, and makes none
  auto gate = Gate::make(*block, member_, settings_.tables, now, gate_.get());
  if (gate) {
    gate_ = std::move(*gate);
    trouble_.clear();
  } else {
    gate_.reset();
    trouble_ = std::string("the ring's token block is not to be used: ") + to_text(gate.error());
  }
}

// The disk is full, the folder gone: tokens of that epoch are refused until it can be made,
// and of this one altogether when that is after it began.
void TokenService::make_tables(Moment now) {
  const auto block = ticket::wire::parse_token_block(block_.expose());
  if (!block) return;
  // This host's clocks may be behind since it started, keyd's were not: no table is older
  // than the ring that it is made for.
  now.latest = std::max(now.latest, issued_);
  try {
    ticket::redeem::make_tables(*block, settings_.tables, now, settings_.group);
    tables_trouble_.clear();
  } catch (const std::exception& error) {
    tables_trouble_ = error.what();
  }
}

void TokenService::look_for_trouble(Moment now) {
  auto why = trouble_;
  if (why.empty()) why = tables_trouble_;  // the reason for what the gate finds
  if (why.empty() && gate_) why = gate_->trouble(now);
  if (why.empty() && shared_ && !settings_.shared) {
    why = "the pool's record is Redis and agent.toml names none in [[tokens]]";
  }
  if (why == told_) return;
  told_ = why;
  const auto who = settings_.pool + ": tokens: ";
  if (why.empty()) {
    settings_.log(level_enum::info, who + "redeemed here");
  } else {
    settings_.log(level_enum::warn, who + why);
  }
}

// ---- answers

void TokenService::redeem(std::optional<std::string_view> authorization, std::string_view origin,
                          std::function<void(Outcome)> done) {
  const auto tell = [this, origin = std::string(origin), done = std::move(done)](Outcome outcome) {
    counted(outcome, origin);
    done(outcome);
  };
  if (!gate_) return tell(Outcome::unknown);
  const auto answer = gate_->check(authorization.value_or(""), origin, clock_.now());
  if (!answer.claim) {
    if (redeems_here_ && answer.outcome == Outcome::ok) counted(Verdict::fresh);
    if (redeems_here_ && answer.outcome == Outcome::replay) counted(Verdict::replay);
    return tell(answer.outcome);
  }
  ask(*answer.claim, [gate = gate_, claim = *answer.claim, tell](Verdict verdict) {
    tell(gate->settle(claim, verdict));
  });
}

std::string TokenService::challenge(std::string_view origin) {
  return gate_ ? gate_->challenge(origin, clock_.now()) : std::string();
}

void TokenService::claim(const ticket::wire::Claim& wanted, std::function<void(Verdict)> done) {
  const auto claim = ticket::redeem::from_wire(wanted);
  const auto table = gate_ ? gate_->table(claim.epoch) : nullptr;
  if (table && table->holds(claim.location)) {
    counted(Verdict::replay);
    return done(Verdict::replay);
  }
  if (!shared_) {
    const auto verdict = claim_here(claim);
    counted(verdict);
    return done(verdict);
  }
  ask(claim, std::move(done));
}

Verdict TokenService::claim_here(const ticket::redeem::Claim& claim) {
  const auto table = gate_ && redeems_here_ ? gate_->table(claim.epoch) : nullptr;
  return table ? table->claim(claim.location, claim.id) : Verdict::unknown;
}

// An epoch that the block does not have (any more) is asked nobody about: what its record
// was may be gone.
void TokenService::ask(const ticket::redeem::Claim& claim, SharedRecord::Done done) {
  const auto* epoch = gate_ ? find(claim.epoch) : nullptr;
  if (epoch == nullptr || !settings_.shared) {
    counted(Verdict::unknown);
    return done(Verdict::unknown);
  }
  settings_.shared->claim(
      epoch->shared, claim.location, claim.id,
      [this, claim, table = gate_->table(claim.epoch), done = std::move(done)](Verdict pool) {
        const auto verdict = table ? Cascade(*table).settle(claim.location, claim.id, pool) : pool;
        counted(verdict);
        done(verdict);
      });
}

const TokenService::Epoch* TokenService::find(const ticket::replay::EpochId& id) const {
  const auto found =
      std::ranges::find_if(epochs_, [&id](const Epoch& epoch) { return epoch.shared.id == id; });
  return found == epochs_.end() ? nullptr : &*found;
}

// ---- what is seen

void TokenService::counted(Verdict verdict) { ++claims_[static_cast<std::size_t>(verdict)]; }

void TokenService::counted(Outcome outcome, std::string_view origin) {
  ++outcomes_[static_cast<std::size_t>(outcome)];
  if (outcome == Outcome::ok) return;
  settings_.log(level_enum::debug, settings_.pool + ": token for " +
                                       std::string(origin.substr(0, longest_told)) +
                                       " not taken: " + ticket::redeem::to_text(outcome));
}

TokenSight TokenService::sight() const {
  TokenSight sight;
  sight.pool = settings_.pool;
  sight.offered = block_.size() != 0;
  sight.shared = shared_;
  sight.outcomes = outcomes_;
  sight.claims = claims_;
  for (const auto& epoch : epochs_) {
    const auto table = gate_ ? gate_->table(epoch.shared.id) : nullptr;
    if (!table) continue;
    const auto state = table->state();
    sight.tables.push_back({epoch.number, state == ticket::replay::TableState::ok,
                            ticket::replay::to_text(state), table->load(), table->bytes()});
  }
  if (settings_.shared) sight.redis = settings_.shared->sight();
  sight.trouble = told_;
  return sight;
}

}  // namespace keyd
