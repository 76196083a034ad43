#include "ring/epoch.hpp"

namespace ticket::ring {

const char* to_text(EpochState state) {
  switch (state) {
    case EpochState::announced:
      return "announced";
    case EpochState::sealing:
      return "sealing";
    case EpochState::opening:
      return "opening";
    case EpochState::wiped:
      return "wiped";
    case EpochState::burned:
      return "burned";
  }
  return "unknown state";
}

EpochState Epoch::state(Moment now) const {
  if (burned) return EpochState::burned;
  if (now.latest >= opens_until) return EpochState::wiped;
  if (now.steady < seals_from) return EpochState::announced;
  return now.steady < seals_until ? EpochState::sealing : EpochState::opening;
}

const Epoch* sealing_epoch(const std::vector<Epoch>& epochs, seconds stretch, Moment now) {
  const Epoch* newest = nullptr;
  for (const auto& epoch : epochs) {
    if (epoch.burned || epoch.seals_from > now.steady) continue;
    if (newest == nullptr || epoch.number > newest->number) newest = &epoch;
  }
  if (newest == nullptr || now.steady >= newest->seals_until + stretch ||
      now.latest >= newest->opens_until) {
    return nullptr;
  }
  return newest;
}

}  // namespace ticket::ring
