#include "base/clock.hpp"

#include <ctime>

namespace ticket {

namespace {

seconds read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return seconds(now.tv_sec);
}

}  // namespace

SystemClock::SystemClock() : anchor_(read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME)) {}

Moment SystemClock::now() const {
  // whole seconds: the coarse clock will do, at a fifth of the cost
  return {sys_seconds(anchor_ + read(CLOCK_BOOTTIME)), sys_seconds(read(CLOCK_REALTIME_COARSE))};
}

seconds SystemClock::apart() const { return read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME) - anchor_; }

}  // namespace ticket
