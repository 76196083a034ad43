// What an operator orders: rotations, expulsions, revocations, another clock.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "authority_draft.hpp"
#include "status_page.hpp"
#include "wire/layout.hpp"

namespace keyd {

using namespace ticket;
using nlohmann::json;
using ring::Epoch;

namespace {

constexpr std::size_t most_waiting = 4096;

tl::unexpected<std::string> refuse(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

tl::unexpected<std::string> nobody(const PoolState& state, const std::string& name) {
  return refuse("nobody in the pool " + state.name + " is called '" + name +
                "': `ticketctl member list` tells who is there");
}

// No key that it was sent opens anything any more.
std::size_t burn(PoolState& state) {
  std::size_t count = 0;
  for (auto& epoch : state.epochs) {
    count += epoch.burned ? 0 : 1;
    epoch.burned = true;
  }
  state.secrets = SecretBytes(state.epochs.size() * 32);
  return count;
}

std::string no_room_until(sys_seconds time) {
  return std::to_string(wire::max_epochs) +
         " epochs stand at most, and one that was cut short opens to its end: after another "
         "rotation now the pool would be without a next key. Rotate from " +
         utc_text(time.time_since_epoch().count()) +
         " UTC on; `ticketctl member revoke` burns keys at any time";
}

// All that ever minted under this name.
std::vector<std::uint16_t> numbers_of(const PoolState& state, const std::string& name) {
  std::vector<std::uint16_t> numbers;
  if (const auto* member = state.member(name)) numbers.push_back(member->number);
  for (const auto& gone : state.expelled) {
    if (gone.name == name) numbers.push_back(gone.number);
  }
  return numbers;
}

// What has begun has not begun later, lest a table that was lost and made anew since look as if it
// had been there before (replay/table.hpp).
void move(TokenEpoch& epoch, seconds shift) {
  if (!epoch.begun || shift < seconds(0)) epoch.issues_from += shift;
  for (auto* time : {&epoch.made, &epoch.issues_until, &epoch.redeems_until}) *time += shift;
  if (epoch.ended()) epoch.ended_at += shift;
}

// How far a pool's times move when ours does, which they were told in.
seconds shift_of(const PoolState& state, seconds shift, sys_seconds now) {
  for (const auto& epoch : state.epochs) {
    // of a clock that was wrong while keyd was down, only this is known
    if (epoch.made + shift > now) shift = now - epoch.made;
  }
  for (const auto& epoch : state.tokens.epochs) {
    if (epoch.made + shift > now) shift = now - epoch.made;
    if (epoch.began_after(now - shift)) shift = now - epoch.issues_from;
  }
  return shift;
}

// No layout has times of before 1970.
bool has_room(const PoolState& state, seconds shift) {
  const auto fits = [shift](const auto& epoch) { return epoch.made + shift >= sys_seconds{}; };
  return std::ranges::all_of(state.epochs, fits) && std::ranges::all_of(state.tokens.epochs, fits);
}

}  // namespace

void Authority::order(Order order, Answer done) {
  const bool everywhere = order.kind == Order::Kind::accept_clock;
  if (!everywhere && !pools_.contains(order.pool)) {
    return done({{"ok", false}, {"error", "no pool is called '" + order.pool + "'"}});
  }
  if (!everywhere && orders_.size() >= most_waiting) {
    return done({{"ok", false}, {"error", "too many orders are waiting"}});
  }
  if (everywhere) move_time(order.shift);
  orders_.push_back({std::move(order), std::move(done)});
  hurry_ = true;
}

// What this process remembers was told in the old time.
void Authority::move_time(seconds shift) {
  for (auto& [name, pool] : pools_) {
    pool.known_since += shift;
    pool.next = sys_seconds::min();
    for (auto& [member, sighting] : pool.sightings) sighting.at += shift;
    for (auto& [epoch, asked] : pool.issuing.asked) asked += shift;
  }
  store_problem_since_ += shift;
  retry_at_ = {};
}

// `now` as the pool's epochs were told: an accepted clock moves them once that can be stored.
Moment Authority::time_of(const PoolState& state, Moment now) const {
  std::optional<seconds> accepted;
  for (const auto& waiting : orders_) {
    if (waiting.order.kind != Order::Kind::accept_clock) continue;
    accepted = accepted.value_or(seconds(0)) + waiting.order.shift;
  }
  if (!accepted) return now;
  const auto shift = shift_of(state, *accepted, now.steady);
  now.steady -= shift;
  now.latest -= shift;
  return now;
}

void Authority::draft_orders(Draft& draft, Moment now) {
  for (auto& waiting : std::exchange(orders_, {})) {
    auto outcome = carry_out(draft, waiting.order, now);
    if (!outcome) {
      waiting.done({{"ok", false}, {"error", outcome.error()}});
      continue;
    }
    draft.changed = true;
    draft.done.push_back({std::move(waiting), *std::move(outcome)});
  }
}

Authority::Outcome Authority::carry_out(Draft& draft, const Order& order, Moment now) const {
  if (order.kind == Order::Kind::accept_clock) return accept_clock(draft, order);
  auto* state = draft.state.pool(order.pool);
  if (!pools_.contains(order.pool)) {  // it left the configuration while the order waited
    return refuse("no pool is called '" + order.pool + "'");
  }
  if (state == nullptr) return refuse("the pool " + order.pool + " has no keys yet");
  switch (order.kind) {
    case Order::Kind::expel:
      return expel(draft, *state, order, now);
    case Order::Kind::readmit:
      return readmit(draft, *state, order);
    case Order::Kind::revoke:
      return revoke(draft, *state, order);
    case Order::Kind::rotate_issuer:
      return rotate_issuer(draft, *state, order, now);
    default:
      break;
  }
  if (auto problem = clock_problem(draft.state, now); !problem.empty()) return refuse(problem);
  const auto& pool = pools_.at(state->name);
  const auto from =
      ring::may_rotate_from(state->epochs, state->last_epoch, pool.setup.config.policy, now,
                            readiness(*state, pool, now));
  if (from > now.steady) return refuse(no_room_until(from));
  draft.rotated.insert(state->name);
  draft.renewed.insert(state->name);
  spdlog::info("pool {}: user {} orders a rotation", state->name, order.by);
  add_audit_line(draft.state.audit,
                 {{"event", "rotation ordered"}, {"pool", state->name}, {"by", order.by}},
                 draft.at);
  return json::object();
}

Authority::Outcome Authority::expel(Draft& draft, PoolState& state, const Order& order,
                                    Moment now) const {
  const auto member = std::ranges::find(state.members, order.member, &Member::name);
  if (member == state.members.end()) return nobody(state, order.member);
  const auto burned = order.burn ? burn(state) : 0;
  if (order.burn) draft.issuers_exposed.insert(state.name);
  spdlog::warn("pool {}: user {} expels {}, {} epochs are burned", state.name, order.by,
               order.member, burned);
  add_audit_line(draft.state.audit,
                 {{"event", "expelled"},
                  {"pool", state.name},
                  {"member", member->name},
                  {"number", member->number},
                  {"certificate", member->fingerprint},
                  {"burned", burned},
                  {"by", order.by}},
                 draft.at);
  const json answer = {{"number", member->number}, {"burned", burned}};
  if (!clock_problem(draft.state, now).empty()) draft.doubtful.insert({state.name, member->number});
  state.expelled.push_back({member->number, member->name, member->fingerprint, now.steady, false});
  state.members.erase(member);
  draft.renewed.insert(state.name);
  return answer;
}

Authority::Outcome Authority::readmit(Draft& draft, PoolState& state, const Order& order) const {
  bool found = false;
  for (auto& gone : state.expelled) {
    if (gone.name == order.member && !gone.readmitted) found = gone.readmitted = true;
  }
  if (!found) {
    return refuse("nobody called '" + order.member + "' is expelled from the pool " + state.name);
  }
  spdlog::warn("pool {}: user {} readmits {}", state.name, order.by, order.member);
  add_audit_line(
      draft.state.audit,
      {{"event", "readmitted"}, {"pool", state.name}, {"member", order.member}, {"by", order.by}},
      draft.at);
  return json::object();
}

Authority::Outcome Authority::revoke(Draft& draft, PoolState& state, const Order& order) const {
  const auto minters = numbers_of(state, order.member);
  if (minters.empty()) return nobody(state, order.member);
  const auto could_have_sealed = [&order](const Epoch& epoch) {
    return !epoch.burned && epoch.seals_from <= order.until;
  };
  if (std::ranges::none_of(state.epochs, could_have_sealed)) {
    return refuse("no key that still opens is that old: such tickets are dead already");
  }
  auto revocations = state.revocations;
  for (const auto minter : minters) {
    const ring::Revocation revocation{minter, order.from, order.until};
    if (std::ranges::count(revocations, revocation) == 0) revocations.push_back(revocation);
  }
  if (revocations.size() > wire::max_revocations) {
    return refuse(
        "256 revocations stand already; they go with the keys that they concern. "
        "`ticketctl member revoke` burns those keys at once");
  }
  state.revocations = std::move(revocations);
  spdlog::warn("pool {}: user {} revokes what {} sealed", state.name, order.by, order.member);
  add_audit_line(draft.state.audit,
                 {{"event", "revoked"},
                  {"pool", state.name},
                  {"member", order.member},
                  {"numbers", minters},
                  {"from", order.from.time_since_epoch().count()},
                  {"until", order.until.time_since_epoch().count()},
                  {"by", order.by}},
                 draft.at);
  draft.renewed.insert(state.name);
  return json{{"numbers", minters}};
}

// Made by the time of before, a table is not half a minute older than its epoch any more, and
// lets nothing of it pass (replay/table.hpp).
bool Authority::loses_tables(const PoolState& state, seconds shift) const {
  const auto pool = pools_.find(state.name);
  if (pool == pools_.end() || !pool->second.setup.config.tokens) return false;
  return !pool->second.setup.config.tokens->redis && shift < -token_soon_with_table;
}

std::string Authority::clock_refusal(seconds shift, sys_seconds time) const {
  const bool fits = std::ranges::all_of(state_.pools, [&](const PoolState& state) {
    return has_room(state, shift_of(state, shift, time));
  });
  if (fits) return {};
  return "the clock says " + utc_text(time.time_since_epoch().count()) +
         ": keys that are in use were made before 1970 then. Set it first";
}

// Our time moves by `shift`, so the epochs' times do: they were told in the old
// one. How long each lives stays the same.
Authority::Outcome Authority::accept_clock(Draft& draft, const Order& order) const {
  spdlog::warn("user {} accepts the clock: time moves by {} s", order.by, order.shift.count());
  for (auto& state : draft.state.pools) {
    const auto shift = shift_of(state, order.shift, draft.at);
    for (auto& epoch : state.epochs) {
      epoch.made += shift;
      epoch.seals_from += shift;
      epoch.seals_until += shift;
      epoch.opens_until += shift;
    }
    for (auto& epoch : state.tokens.epochs) move(epoch, shift);
    if (loses_tables(state, shift)) draft.issuers_burned.insert(state.name);
    // a time that has yet to come would refuse every enrolment until then
    for (auto& member : state.members) member.enrolled_at = std::min(member.enrolled_at, draft.at);
    for (auto& gone : state.expelled) {
      // told by the clock that is put right now
      const bool doubtful = doubtful_.contains({state.name, gone.number});
      if (doubtful && order.shift > seconds(0)) gone.at += order.shift;
      gone.at = std::min(gone.at, draft.at);
    }
    if (pools_.contains(state.name)) draft.renewed.insert(state.name);
  }
  add_audit_line(draft.state.audit,
                 {{"event", "clock accepted"}, {"shift", order.shift.count()}, {"by", order.by}},
                 draft.at);
  return json{{"shift", order.shift.count()}};
}

}  // namespace keyd
