#include "redeem/outcome.hpp"

namespace ticket::redeem {

const char* to_text(Outcome outcome) {
  constexpr const char* names[] = {"ok",     "missing", "malformed",   "wrong_audience",
                                   "early",  "expired", "unknown_key", "invalid",
                                   "replay", "unknown"};
  static_assert(std::size(names) == outcome_count);
  return outcome < Outcome::count_ ? names[static_cast<std::size_t>(outcome)] : "unknown outcome";
}

Outcome outcome_of(const token::Refusal& refusal) {
  const auto why = refusal.rejection();
  if (!why) return Outcome::early;
  switch (*why) {
    case Rejection::unsupported:  // a type that no challenge of ours asks for
    case Rejection::audience:
      return Outcome::wrong_audience;
    case Rejection::expired:
      return Outcome::expired;
    case Rejection::unknown_key:
      return Outcome::unknown_key;
    case Rejection::forged:
      return Outcome::invalid;
    default:
      return Outcome::malformed;
  }
}

Outcome outcome_of(replay::Verdict verdict) {
  switch (verdict) {
    case replay::Verdict::fresh:
      return Outcome::ok;
    case replay::Verdict::replay:
      return Outcome::replay;
    case replay::Verdict::unknown:
      break;
  }
  return Outcome::unknown;
}

wire::Claim to_wire(const Claim& claim, std::uint32_t number) {
  return {number, claim.epoch, claim.location, claim.id};
}

Claim from_wire(const wire::Claim& claim) { return {claim.epoch, claim.location, claim.id}; }

using Told = wire::ClaimAnswer::Verdict;

Told to_wire(replay::Verdict verdict) {
  switch (verdict) {
    case replay::Verdict::fresh:
      return Told::fresh;
    case replay::Verdict::replay:
      return Told::replay;
    case replay::Verdict::unknown:
      break;
  }
  return Told::unknown;
}

replay::Verdict from_wire(Told verdict) {
  switch (verdict) {
    case Told::fresh:
      return replay::Verdict::fresh;
    case Told::replay:
      return replay::Verdict::replay;
    case Told::unknown:
      break;
  }
  return replay::Verdict::unknown;
}

}  // namespace ticket::redeem
