#include "claim_talk.hpp"

#include "redeem/outcome.hpp"

namespace keyd {

using ticket::BytesView;
namespace wire = ticket::wire;

// A stream of records of one size: whatever their bytes, they are claims, and one that
// names no epoch of ours is unknown.
std::size_t ClaimTalk::handle(BytesView bytes) {
  if (bytes.size() < wire::claim_size) return 0;
  const auto claim = wire::parse_claim(bytes.first(wire::claim_size));
  if (!claim) {
    end();
    return wire::claim_size;
  }
  begun();
  desk_.claim(*claim, [weak = weak_from_this(), number = claim->number](auto verdict) {
    if (const auto self = weak.lock()) static_cast<ClaimTalk&>(*self).tell(number, verdict);
  });
  return wire::claim_size;
}

void ClaimTalk::tell(std::uint32_t number, ticket::replay::Verdict verdict) {
  say(wire::write_claim_answer({number, ticket::redeem::to_wire(verdict)}));
  answered();
}

}  // namespace keyd
