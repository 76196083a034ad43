#include "ring/rotation.hpp"

#include <algorithm>

#include "wire/layout.hpp"

namespace ticket::ring {

namespace {

std::vector<Epoch> living(const std::vector<Epoch>& epochs, Moment now) {
  std::vector<Epoch> kept;
  std::ranges::copy_if(epochs, std::back_inserter(kept), [now](const Epoch& epoch) {
    return !epoch.burned && now.latest < epoch.opens_until;
  });
  return kept;
}

// Moves what the epoch may do to another start, its length and the time that
// its tickets live staying the same.
void shift(Epoch& epoch, seconds by) {
  epoch.seals_from += by;
  epoch.seals_until += by;
  epoch.opens_until += by;
}

std::vector<Epoch>::iterator first_announced(std::vector<Epoch>& epochs, Moment now) {
  return std::ranges::find_if(epochs, [now](const Epoch& e) { return e.seals_from > now.steady; });
}

// Nobody seals by the schedule (the first epoch, after a burn or a long
// outage): an announced epoch that all members hold need not wait.
void close_gap(std::vector<Epoch>& epochs, Moment now, Readiness readiness) {
  if (sealing_epoch(epochs, seconds(0), now) != nullptr || readiness == Readiness::waiting) return;
  const auto next = first_announced(epochs, now);
  if (next != epochs.end()) next->seals_from = now.steady;
}

// Makes epochs until the schedule reaches publish_ahead from now.
void make_ahead(Plan& plan, const Policy& policy, Moment now, Readiness readiness) {
  auto& epochs = plan.epochs;
  while (epochs.size() < wire::max_epochs) {
    auto start = epochs.empty() ? now.steady : epochs.back().seals_until;
    if (start > now.steady + policy.publish_ahead) break;
    // too late to be announced in time: the members get a minute to fetch it
    const auto earliest =
        now.steady + (readiness == Readiness::alone ? seconds(0) : late_announcement);
    if (start <= now.steady) start = earliest;

    Epoch epoch;
    epoch.number = ++plan.last_number;
    epoch.made = now.steady;
    epoch.seals_from = start;
    epoch.seals_until = start + policy.rotate_every;
    epoch.opens_until = epoch.seals_until + policy.lifetime;
    epochs.push_back(epoch);
  }
}

// For want of room the schedule does not reach publish_ahead.
bool crowded(const Plan& plan, const Policy& policy, Moment now) {
  return plan.epochs.size() >= wire::max_epochs &&
         plan.epochs.back().seals_until <= now.steady + policy.publish_ahead;
}

// When there is room for another.
sys_seconds first_end(const std::vector<Epoch>& epochs) {
  return std::ranges::min(epochs, {}, &Epoch::opens_until).opens_until;
}

sys_seconds next_call(const Plan& plan, const Policy& policy, Moment now) {
  auto next = first_end(plan.epochs);
  if (!crowded(plan, policy, now)) {
    next = std::min(next, plan.epochs.back().seals_until - policy.publish_ahead);
  }
  if (sealing_epoch(plan.epochs, seconds(0), now) == nullptr) next = now.steady;  // a gap: soon
  return std::max(next, now.steady + seconds(1));
}

Plan finish(Plan plan, const std::vector<Epoch>& before, const Policy& policy, Moment now,
            Readiness readiness) {
  close_gap(plan.epochs, now, readiness);
  make_ahead(plan, policy, now, readiness);
  plan.changed = plan.epochs != before;
  plan.next = next_call(plan, policy, now);
  return plan;
}

sys_seconds last_end(const std::vector<Epoch>& epochs) {
  return std::ranges::max(epochs, {}, &Epoch::opens_until).opens_until;
}

// Left to itself the schedule has each next epoch in time for the members to fetch it. It is
// followed until all that stand now are gone: the policy has room for what comes then.
bool goes_on(Plan plan, const Policy& policy, Moment now) {
  const auto all_gone = last_end(plan.epochs);
  while (now.latest < all_gone) {
    const bool late = plan.epochs.back().seals_until < plan.next + late_announcement;
    if (late && crowded(plan, policy, now)) return false;
    now = Moment(plan.next);
    plan = plan_rotation(plan.epochs, plan.last_number, policy, now, Readiness::ready);
  }
  return true;
}

// What comes of an order: whether it leaves a next epoch, now and later.
bool leaves_next(const Plan& plan, const Policy& policy, Moment now) {
  const bool ahead = plan.epochs.back().seals_from >= now.steady + policy.rotate_every;
  return (ahead || !crowded(plan, policy, now)) && goes_on(plan, policy, now);
}

}  // namespace

Plan plan_rotation(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                   const Policy& policy, Moment now, Readiness readiness) {
  Plan plan;
  plan.epochs = living(epochs, now);
  plan.last_number = last_number;
  return finish(std::move(plan), epochs, policy, now, readiness);
}

Plan plan_rotation_now(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                       const Policy& policy, Moment now, Readiness readiness) {
  Plan plan;
  plan.epochs = living(epochs, now);
  plan.last_number = last_number;

  const auto next = first_announced(plan.epochs, now);
  if (next != plan.epochs.end()) {
    // one made a moment ago may not have reached everybody
    const bool sent =
        readiness != Readiness::waiting || next->made + late_announcement <= now.steady;
    const auto start =
        sent ? now.steady : std::min(next->seals_from, now.steady + late_announcement);
    const auto earlier = start - next->seals_from;
    for (auto epoch = plan.epochs.begin(); epoch != next; ++epoch) {
      epoch->seals_until = std::min(epoch->seals_until, start);
    }
    std::for_each(next, plan.epochs.end(), [earlier](Epoch& epoch) { shift(epoch, earlier); });
  } else if (!plan.epochs.empty() && plan.epochs.size() < wire::max_epochs) {
    // with no room for a successor it goes on
    auto& last = plan.epochs.back();
    last.seals_until = std::min(last.seals_until, now.steady);
  }
  return finish(std::move(plan), epochs, policy, now, readiness);
}

sys_seconds may_rotate_from(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                            const Policy& policy, Moment now, Readiness readiness) {
  Plan plan;
  plan.epochs = living(epochs, now);
  plan.last_number = last_number;
  const auto all_gone = plan.epochs.empty() ? now.latest : last_end(plan.epochs);
  const auto refused = [&] {
    const auto ordered = plan_rotation_now(plan.epochs, plan.last_number, policy, now, readiness);
    return !leaves_next(ordered, policy, now);
  };
  while (now.latest < all_gone && refused()) {
    now = Moment(first_end(plan.epochs));
    plan = plan_rotation(plan.epochs, plan.last_number, policy, now, readiness);
  }
  return now.steady;
}

}  // namespace ticket::ring
