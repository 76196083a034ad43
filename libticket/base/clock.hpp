// What time it is, told twice, because clocks jump.
//
// Making and sealing follow `steady`: the wall clock at an anchor plus the boot
// time gone since. Opening and wiping follow `latest`: the later of that and
// the wall clock, so that a clock set back revives no key. (Promise 10, docs/promises.md.)
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace ticket {

using std::chrono::seconds;
using std::chrono::sys_seconds;

struct Moment {
  sys_seconds steady;
  sys_seconds latest;
  seconds apart{0};  // wall clock minus steady: positive when it was set ahead

  Moment(sys_seconds both) : steady(both), latest(both) {}  // a clock that agrees with itself
  Moment(sys_seconds steady_now, sys_seconds wall_now)
      : steady(steady_now), latest(std::max(steady_now, wall_now)), apart(wall_now - steady_now) {}
};

// Beyond this the two clocks disagree, and somebody has to look.
constexpr seconds clock_tolerance = std::chrono::minutes(5);

// Who needs the time is given a Clock; only programs' mains and capi/ make one.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Moment now() const = 0;
};

// The machine's clocks, anchored when it is made. Shared between threads.
class SystemClock : public Clock {
 public:
  SystemClock();
  Moment now() const override;

  // Takes the wall clock as it is now for the truth.
  void anchor();

 private:
  // Wall clock minus boot time. To the nanosecond, so that two processes of a host
  // that anchored at different moments agree on the second.
  std::atomic<std::chrono::nanoseconds> anchor_;
};

}  // namespace ticket
