// What goes over the claims socket, between who redeems tokens and the agent that asks
// the pool's record: claims one way, answers the other, in any order.
#pragma once

#include "base/bytes.hpp"
#include "base/checked.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

struct Claim {
  std::uint32_t number = 0;  // tells the answers of a connection apart
  ByteArray<16> epoch{};
  ByteArray<32> location{};
  ByteArray<16> id{};  // the same for a retry of one request

  bool operator==(const Claim&) const = default;
};

ByteArray<claim_size> write_claim(const Claim& claim);
// Rejects with malformed any other length.
[[nodiscard]] Checked<Claim> parse_claim(BytesView bytes);

struct ClaimAnswer {
  std::uint32_t number = 0;
  enum class Verdict : std::uint8_t { fresh = 0, replay = 1, unknown = 2 } verdict{};

  bool operator==(const ClaimAnswer&) const = default;
};

ByteArray<claim_answer_size> write_claim_answer(const ClaimAnswer& answer);
// Rejects with malformed any other length or verdict.
[[nodiscard]] Checked<ClaimAnswer> parse_claim_answer(BytesView bytes);

}  // namespace ticket::wire
