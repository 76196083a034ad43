// What stands behind a tkt_ring.
#pragma once

#include <ticket/ticket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/at_fork.hpp"
#include "replay/flights.hpp"
#include "ring/live_ring.hpp"

namespace ticket::capi {

// The time as the embedder tells it.
class CallbackClock : public Clock {
 public:
  CallbackClock(tkt_clock_callback callback, void* user) : callback_(callback), user_(user) {}
  Moment now() const override;

 private:
  tkt_clock_callback callback_;
  void* user_;
};

// Of a pool whose keys are made in this process, where no operator is asked whether the
// clock is right: a wall clock that was set ahead is taken for the truth, or each new
// key would have ended when it is made. One that was set back is not followed: that
// would revive keys.
class FollowingClock : public Clock {
 public:
  using Told = std::function<void(seconds ahead)>;
  // `tolerance`: less than this it may be ahead, and is not followed.
  FollowingClock(std::unique_ptr<Clock> clock, seconds tolerance, Told told)
      : clock_(std::move(clock)), tolerance_(tolerance), told_(std::move(told)) {}
  Moment now() const override;

 private:
  std::unique_ptr<Clock> clock_;
  seconds tolerance_;
  Told told_;
  mutable std::atomic<seconds> ahead_{seconds(0)};  // how far it was followed
};

// Tends a ring from a thread of its own, so that an idle process, too, follows
// the agent and wipes on time. Sleeps in poll(2) on an event, not on a clock:
// a wall clock that jumps cannot keep it asleep.
class Tender {
 public:
  explicit Tender(ring::LiveRing& ring);
  ~Tender();

 private:
  void run(std::stop_token stop);

  ring::LiveRing& ring_;
  pid_t maker_;  // whose thread it is: a forked child has a copy of all but the thread
  ring::Fd wake_;
  std::jthread thread_;
};

}  // namespace ticket::capi

struct tkt_context {
  tkt_ring* ring;
  int number;  // in the ring
};

struct tkt_ring {
  std::filesystem::path path;  // of its file; a pool in memory has but a name there
  tkt_log_callback log = nullptr;
  void* log_user = nullptr;
  std::unique_ptr<ticket::Clock> clock;
  std::mutex naming;
  ticket::AtFork at_fork{[this] { naming.lock(); }, [this](bool) { naming.unlock(); }};
  std::filesystem::path early_folder;  // beside the ring file; empty: there is none
  std::unique_ptr<ticket::replay::Flights> kept_flights;  // under `naming`
  std::atomic<ticket::replay::Flights*> flights{nullptr};
  std::unique_ptr<ticket::ring::LiveRing> live;  // whose lock is taken inside `naming`
  std::map<int, tkt_context> contexts;           // handed out, so they stay where they are
  std::unique_ptr<ticket::capi::Tender> tender;  // last: ends before what it tends

  void say(tkt_log_level level, const char* text) const noexcept {
    if (log != nullptr) log(log_user, level, text);
  }
};
