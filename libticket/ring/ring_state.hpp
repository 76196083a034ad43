// What people are told of a ring: does it still do its work?
#pragma once

#include "ring/ring.hpp"

namespace ticket::ring {

enum class RingState {
  ok,         // seals and opens
  stretched,  // nothing newer came: the last epoch seals beyond its time
  stopped,    // no epoch may seal: no tickets are sent
  none,       // there is no ring
};

// By the clock alone. `sealing` is the ring's sealing_epoch() at `now`.
inline RingState state_of(const Epoch* sealing, Moment now) {
  if (sealing == nullptr) return RingState::stopped;
  return now.steady >= sealing->seals_until ? RingState::stretched : RingState::ok;
}

inline const char* to_text(RingState state) {
  constexpr const char* texts[] = {"ok", "stretched", "stopped", "none"};
  return texts[static_cast<std::size_t>(state)];
}

}  // namespace ticket::ring
