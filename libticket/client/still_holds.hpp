// What a client noted has its time, by a clock that may be set.
#pragma once

#include "base/clock.hpp"

namespace ticket::client {

// Does what was noted at `since` still hold? Not when that is further ahead than clocks
// differ: it was noted in another time, before the clock was set back.
inline bool still_holds(sys_seconds since, sys_seconds until, sys_seconds now) {
  return now < until && since <= now + clock_tolerance;
}

}  // namespace ticket::client
