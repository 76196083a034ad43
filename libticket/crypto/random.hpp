// Random bytes for the handshake path: drawn in blocks for each thread, because
// RAND_bytes(16) alone costs 0.65 us; a block is dropped in a forked child.
#pragma once

#include "base/bytes.hpp"

namespace ticket::crypto {

// Fills 16 bytes. False when the generator fails: seal nothing then.
bool draw_iv(unsigned char* iv);

// True the first time it is called in a process that was forked since the last
// call with this `seen`; callers keep one `seen` for each thing to renew.
class ForkWatch {
 public:
  bool forked();

 private:
  unsigned seen_ = 0;
};

}  // namespace ticket::crypto
