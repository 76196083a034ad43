// The body of a ring slot. Public parts and secrets stand together, so both
// directions work on locked memory that the caller owns.
#pragma once

#include <vector>

#include "base/checked.hpp"
#include "base/clock.hpp"
#include "base/secret.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

// Plain fields as they stand in the file; ring/ gives them meaning.
struct SlotEpoch {
  std::uint32_t number = 0;
  ByteArray<16> id{};
  sys_seconds made, seals_from, seals_until, opens_until;
  std::uint8_t flags = 0;
};

struct SlotRevocation {
  std::uint16_t minter = 0;
  sys_seconds from, until;
};

struct RingSlot {
  std::uint64_t generation = 0;
  std::uint16_t member = 0;
  sys_seconds issued_at, not_after;
  ByteArray<21> policy{};  // five u32 seconds, a byte
  std::vector<SlotEpoch> epochs;
  SecretBytes secrets;  // 32 bytes an epoch
  std::vector<SlotRevocation> revocations;
  SecretBytes tokens;  // a token block, not looked into; empty = none
};

SecretBytes write_ring_slot(const RingSlot& slot);
[[nodiscard]] Checked<RingSlot> parse_ring_slot(BytesView body);

// The largest body: what a slot must hold.
std::size_t max_ring_slot_size();

}  // namespace ticket::wire
