// What becomes of a token that a client presents.
#pragma once

#include "replay/index.hpp"
#include "token/redeemer.hpp"
#include "wire/claim.hpp"

namespace ticket::redeem {

enum class Outcome : unsigned {
  ok,              // it passes, and never will again
  missing,         // no token was presented
  malformed,       // what was presented is none
  wrong_audience,  // for another origin, pool or token type
  early,           // its epoch has yet to begin
  expired,         // its epoch is over
  unknown_key,     // not by a key of its epoch
  invalid,         // not genuine
  replay,          // spent before
  unknown,         // cannot be told now: the one outcome that is not the client's fault
  count_,
};
constexpr std::size_t outcome_count = static_cast<std::size_t>(Outcome::count_);
// The name above; never NULL.
const char* to_text(Outcome outcome);

Outcome outcome_of(const token::Refusal& refusal);
Outcome outcome_of(replay::Verdict verdict);

// What is to be asked of whoever keeps the pool's record, before a token may pass.
struct Claim {
  ByteArray<16> epoch{};
  token::Location location{};
  replay::ClaimId id{};

  bool operator==(const Claim&) const = default;
};

// As it goes over the claims socket. `number` tells a connection's answers apart.
wire::Claim to_wire(const Claim& claim, std::uint32_t number);
Claim from_wire(const wire::Claim& claim);
wire::ClaimAnswer::Verdict to_wire(replay::Verdict verdict);
replay::Verdict from_wire(wire::ClaimAnswer::Verdict verdict);

}  // namespace ticket::redeem
