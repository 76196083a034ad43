// The stores in which what was spent is recorded, as the front minds them: it makes an
// epoch's sentinel, and notices when one is gone. The pools whose record is a table of
// their own have none.
#pragma once

#include <vector>

#include "messages.hpp"

namespace keyd {

// Speaks through the front's upstream: a sentinel that is to be made ends in a
// sentinel_made(), a loss in a record_lost(). One thread, that of the front's event loop.
class Records {
 public:
  virtual ~Records() = default;

  // The stores from now on: `redis` and `redis_durable` of each. Does not throw.
  virtual void configure(const std::vector<IssuerSetup>& issuers) = 0;
  virtual void make(const MakeSentinel& sentinel) = 0;
};

}  // namespace keyd
