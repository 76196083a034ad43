#include "base/clock.hpp"

#include <ctime>

namespace ticket {

namespace {

std::chrono::nanoseconds read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

sys_seconds whole(std::chrono::nanoseconds since_1970) {
  return sys_seconds(std::chrono::duration_cast<seconds>(since_1970));
}

}  // namespace

SystemClock::SystemClock() { anchor(); }

void SystemClock::anchor() { anchor_ = read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME); }

Moment SystemClock::now() const {
  // the coarse clock will do for whole seconds, at a fifth of the cost
  return {whole(anchor_.load(std::memory_order_relaxed) + read(CLOCK_BOOTTIME)),
          whole(read(CLOCK_REALTIME_COARSE))};
}

}  // namespace ticket
