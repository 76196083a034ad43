// What the authority says of itself on the admin socket (docs/formats.md).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "authority.hpp"
#include "feed/bundle.hpp"
#include "version.hpp"

namespace keyd {

using namespace ticket;
using nlohmann::json;

namespace {

std::int64_t unix_seconds(sys_seconds time) { return time.time_since_epoch().count(); }

json policy_json(const ring::Policy& policy) {
  return {{"rotate_every", policy.rotate_every.count()},
          {"lifetime", policy.lifetime.count()},
          {"publish_ahead", policy.publish_ahead.count()},
          {"stretch", policy.stretch.count()},
          {"lineage", policy.lineage.count()},
          {"unattributed", ring::to_text(policy.unattributed)}};
}

json epoch_json(const ring::Epoch& epoch, ring::EpochState state) {
  return {{"number", epoch.number},
          {"id", hex(epoch.id)},
          {"made", unix_seconds(epoch.made)},
          {"seals_from", unix_seconds(epoch.seals_from)},
          {"seals_until", unix_seconds(epoch.seals_until)},
          {"opens_until", unix_seconds(epoch.opens_until)},
          {"burned", epoch.burned},
          {"state", ring::to_text(state)}};
}

std::ptrdiff_t living(const PoolState& state) {
  return std::ranges::count(state.epochs, false, &ring::Epoch::burned);
}

json expelled_json(const PoolState& state) {
  auto list = json::array();
  for (const auto& gone : state.expelled) {
    list.push_back({{"number", gone.number},
                    {"name", gone.name},
                    {"at", unix_seconds(gone.at)},
                    {"readmitted", gone.readmitted}});
  }
  return list;
}

json revocations_json(const PoolState& state) {
  auto list = json::array();
  for (const auto& revocation : state.revocations) {
    list.push_back({{"minter", revocation.minter},
                    {"from", unix_seconds(revocation.from)},
                    {"until", unix_seconds(revocation.until)}});
  }
  return list;
}

}  // namespace

std::string Authority::span_text(seconds span) {
  const auto minutes = std::chrono::abs(span).count() / 60;
  if (minutes < 120) return std::to_string(minutes) + " minutes";
  if (minutes < 48 * 60) return std::to_string(minutes / 60) + " hours";
  return std::to_string(minutes / 60 / 24) + " days";
}

std::string Authority::clock_problem(const KeeperState& state, Moment now) {
  const std::string way_out =
      ": rotation holds. Set the clock right, then say `ticketctl clock accept`";
  if (std::chrono::abs(now.apart) > clock_tolerance) {
    return "the clock was set " + span_text(now.apart) +
           (now.apart.count() > 0 ? " ahead" : " back") + way_out;
  }
  for (const auto& pool : state.pools) {
    for (const auto& epoch : pool.epochs) {
      if (epoch.made <= now.steady + clock_tolerance) continue;
      return "the clock is " + span_text(epoch.made - now.steady) +
             " behind the time at which the newest key was made" + way_out;
    }
    for (const auto& epoch : pool.tokens.epochs) {
      if (!epoch.began_after(now.steady + clock_tolerance)) continue;
      return "the clock is " + span_text(epoch.issues_from - now.steady) +
             " behind the time at which token epoch " + std::to_string(epoch.number) + " began" +
             way_out;
    }
  }
  return {};
}

ring::EpochState Authority::shown_state(const ring::Epoch& epoch, const ring::Epoch* sealing,
                                        Moment now) {
  return &epoch == sealing ? ring::EpochState::sealing : epoch.state(now);
}

const ring::Epoch* Authority::sealing(const PoolState& state, const Pool& pool, Moment now) const {
  return ring::sealing_epoch(state.epochs, pool.setup.config.policy.stretch, now);
}

json Authority::pools(Moment now) const {
  auto list = json::array();
  for (const auto& [name, pool] : pools_) {
    const auto* state = state_.pool(name);
    const auto* epoch = state == nullptr ? nullptr : sealing(*state, pool, now);
    list.push_back({{"name", name},
                    {"generation", state == nullptr ? 0 : state->generation},
                    {"members", state == nullptr ? 0 : state->members.size()},
                    {"epochs", state == nullptr ? 0 : living(*state)},
                    {"sealing", epoch == nullptr ? 0 : epoch->number}});
  }
  return {{"ok", true}, {"pools", std::move(list)}};
}

json Authority::status(const std::string& pool, Moment now) const {
  if (!pool.empty() && !pools_.contains(pool)) {
    return {{"ok", false}, {"error", "no pool is called '" + pool + "'"}};
  }
  auto list = json::array();
  for (const auto& [name, known] : pools_) {
    if (!pool.empty() && name != pool) continue;
    PoolState nothing;
    nothing.name = name;
    const auto* state = state_.pool(name);
    list.push_back(describe(state == nullptr ? nothing : *state, known, now));
  }
  return {
      {"ok", true},
      {"version", version},
      {"now", unix_seconds(now.latest)},
      {"clock", {{"apart", now.apart.count()}, {"holding", !clock_problem(state_, now).empty()}}},
      {"pools", std::move(list)}};
}

json Authority::describe(const PoolState& state, const Pool& pool, Moment now) const {
  auto epochs = json::array();
  const auto* seals = sealing(state, pool, now);
  for (const auto& epoch : state.epochs) {
    epochs.push_back(epoch_json(epoch, shown_state(epoch, seals, now)));
  }

  auto members = json::array();
  for (const auto& member : state.members) {
    const auto found = pool.sightings.find(member.name);
    const auto sighting = found == pool.sightings.end() ? Sighting{} : found->second;
    members.push_back({{"number", member.number},
                       {"name", member.name},
                       {"enrolled_at", unix_seconds(member.enrolled_at)},
                       {"last_seen", unix_seconds(sighting.at)},
                       {"applied", sighting.applied},
                       {"address", sighting.address}});
  }
  auto texts = json::array();
  for (auto& alarm : alarms(state, pool, now)) texts.push_back(std::move(alarm.text));
  const auto manifest = feed::parse_manifest(state.manifest);
  return {{"name", state.name},
          {"generation", state.generation},
          {"issued_at", manifest ? unix_seconds(manifest->issued_at) : 0},
          {"not_after", manifest ? unix_seconds(manifest->not_after) : 0},
          {"policy", policy_json(pool.setup.config.policy)},
          {"epochs", std::move(epochs)},
          {"members", std::move(members)},
          {"expelled", expelled_json(state)},
          {"revocations", revocations_json(state)},
          {"alarms", std::move(texts)}};
}

std::vector<AlarmReport> Authority::alarms(const PoolState& state, const Pool& pool,
                                           Moment now) const {
  std::vector<AlarmReport> alarms;
  if (!store_problem_.empty()) {
    alarms.push_back({"store", store_problem_ + " (since " +
                                   ring::to_text(now.steady - store_problem_since_) +
                                   "): the old generation stands, nothing new is published"});
  }
  if (auto problem = clock_problem(state_, now); !problem.empty()) {
    alarms.push_back({"clock", std::move(problem)});
  }
  if (!audit_problem_.empty()) alarms.push_back({"audit", audit_problem_});
  if (sealing(state, pool, now) == nullptr) {
    alarms.push_back({"stopped", "no epoch seals: the members send no tickets"});
  }
  if (auto problem = issuing_problem(state, pool, now); !problem.empty()) {
    alarms.push_back({"issuing", std::move(problem)});
  }
  if (pool.overtaken) {
    alarms.push_back(
        {"overtaken", "members have applied a newer generation: the state is an old backup"});
  }
  return alarms;
}

json Authority::audit() const {
  return {{"ok", true},
          {"count", state_.audit.count},
          {"last", hex(state_.audit.last)},
          {"unwritten", state_.audit.unwritten.size()}};
}

// A pool that has nothing yet, as rotation holds or the disk is full, takes from the others'
// members nothing of what they have. The alarms tell of it.
bool Authority::ready() const {
  if (draft_) return false;
  const bool serves = std::ranges::any_of(pools_, [this](const auto& named) {
    const auto* state = state_.pool(named.first);
    return state != nullptr && state->generation != 0;
  });
  return serves || store_problem_.empty();
}

}  // namespace keyd
