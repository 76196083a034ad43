// The schedule of a pool's epochs as a pure function: what has to be done at
// `now`, and when to ask again. It draws no random bytes and does no I/O.
#pragma once

#include <vector>

#include "ring/epoch.hpp"
#include "ring/policy.hpp"

namespace ticket::ring {

// What the planner knows of the members.
enum class Readiness {
  alone,    // no member was seen in the last minute
  waiting,  // some member seen in the last minute has not applied the newest generation
  ready,    // every member seen in the last minute has applied it
};

struct Plan {
  // The epochs as they should be from now on, oldest first: the living ones,
  // perhaps with new times, then new ones with `id` all zero, for the caller to
  // give an id and a secret. Those missing are to be wiped.
  std::vector<Epoch> epochs;
  std::uint32_t last_number = 0;
  bool changed = false;  // something must be stored and published
  sys_seconds next;      // ask again then at the latest
};

// Plans at `now`. `epochs` oldest first; `last_number` is the highest ever made.
Plan plan_rotation(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                   const Policy& policy, Moment now, Readiness readiness);

// `rotate --now`: as above, and the next announced epoch seals at once, the
// later ones that much earlier. Without an announced epoch a new one is made.
Plan plan_rotation_now(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                       const Policy& policy, Moment now, Readiness readiness);

// From when on plan_rotation_now() is for the good: another epoch seals, the next one is
// announced rotate_every ahead, and each that follows finds room. `now`, unless many were
// ordered: an epoch cut short opens to its end, and no more than wire::max_epochs stand.
sys_seconds may_rotate_from(const std::vector<Epoch>& epochs, std::uint32_t last_number,
                            const Policy& policy, Moment now, Readiness readiness);

// An epoch that could not be announced in time seals at the latest this long
// after it was made.
constexpr seconds late_announcement{60};

}  // namespace ticket::ring
