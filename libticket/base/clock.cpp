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

SystemClock::SystemClock() { anchor(); }

void SystemClock::anchor() { anchor_ = read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME); }

Moment SystemClock::now() const {
  // whole seconds: the coarse clock will do, at a fifth of the cost
  return {sys_seconds(anchor_.load(std::memory_order_relaxed) + read(CLOCK_BOOTTIME)),
          sys_seconds(read(CLOCK_REALTIME_COARSE))};
}

}  // namespace ticket
