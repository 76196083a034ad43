#include "agent_plan.hpp"

#include <algorithm>

namespace keyd {

using ticket::seconds;

Step plan(const Standing& standing, ticket::Moment now) {
  const bool renewal_due = now.steady >= standing.renew_at;
  if (standing.must_enrol) return AskEnrol{};
  if (standing.bundle_in_hand) return AskWrap{};
  if (renewal_due && !standing.must_fetch) return AskEnrol{};
  if (standing.must_fetch || standing.applied == 0) return AskBundle{.applied = standing.applied};
  const auto until_renewal = standing.renew_at - now.steady;
  return AskBundle{.after = standing.applied,
                   .applied = standing.applied,
                   .wait = std::clamp<seconds>(until_renewal, seconds(1), long_poll)};
}

}  // namespace keyd
