// Epochs and their lives.
#pragma once

#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/secret.hpp"

namespace ticket::ring {

using EpochId = ByteArray<16>;

enum class EpochState { announced, sealing, opening, wiped, burned };
const char* to_text(EpochState state);

// The public part of one rotation period of a pool:
//
//   made ──► seals_from ──────────► seals_until ─────────► opens_until
//    announced │   seals and opens   │    opens only         │ wiped
//
// It is announced before it seals, so that every member can already open the
// first ticket that any member seals. `number` grows by one and is never used
// again, nor is `id`.
struct Epoch {
  std::uint32_t number = 0;
  EpochId id{};
  sys_seconds made, seals_from, seals_until, opens_until;
  bool burned = false;

  // By the clock alone: an epoch that stretches is still "opening" here.
  EpochState state(Moment now) const;

  bool operator==(const Epoch&) const = default;
};

// The epoch that seals at `now`: the newest begun and not burned one, while it
// is within its seals_until plus `stretch` and opens; nullptr when none does:
// send no ticket then.
const Epoch* sealing_epoch(const std::vector<Epoch>& epochs, seconds stretch, Moment now);

}  // namespace ticket::ring
