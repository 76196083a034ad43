// Was this spent before? One question, whoever answers it.
#pragma once

#include "base/bytes.hpp"

namespace ticket::replay {

// Where a use is recorded: a keyed hash of what is used, under a key that lives and
// dies with its epoch. Without the key nobody can aim at a place.
using Location = ByteArray<32>;

// Tells a retry of one request from another request. An index of several hosts answers
// `fresh` again to the same one; a lone table cannot, and calls a retry a replay.
using ClaimId = ByteArray<16>;

enum class Verdict {
  fresh,    // recorded now, and never before: the only answer that lets pass
  replay,   // recorded before
  unknown,  // cannot be told; nothing was let pass, something may have been recorded
};
const char* to_text(Verdict verdict);

// One epoch's record of what was spent.
class Index {
 public:
  virtual ~Index() = default;

  // Records and answers in one step. Of all who claim a location, whenever and wherever,
  // one gets `fresh`.
  virtual Verdict claim(const Location& location, const ClaimId& claim_id) noexcept = 0;
};

}  // namespace ticket::replay
