// Random bytes for the handshake path, for each thread from a generator of its own
// that OpenSSL seeds: RAND_bytes(16) costs 0.65 us, takes locks and asks the system
// for its process id each time. A forked child seeds anew.
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
