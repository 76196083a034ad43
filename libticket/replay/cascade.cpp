#include "replay/cascade.hpp"

namespace ticket::replay {

Verdict Cascade::settle(const Location& location, const ClaimId& claim_id, Verdict pool) noexcept {
  if (pool == Verdict::unknown) return pool;
  // full or young it says unknown: then it is of no help, and the pool's record decides
  const auto here = table_->claim(location, claim_id);
  return here == Verdict::replay ? here : pool;
}

}  // namespace ticket::replay
