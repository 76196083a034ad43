// What a front serves, and where that comes from: the keeper behind a
// socketpair, or, for a relay, another front. The front's one code path.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "messages.hpp"

namespace keyd {

// What is known of one pool. Ciphertext and public data.
struct ShelfPool {
  std::uint64_t generation = 0;               // 0 = nothing published yet
  std::shared_ptr<const std::string> bundle;  // the HTTP body
  std::map<std::string, MemberWrap> wraps;    // by member, of this generation
};

// What a pool's issuer publishes.
struct ShelfDirectory {
  std::shared_ptr<const std::string> body;
  std::string tag;                 // of this body, as an ETag has it
  ticket::sys_seconds changes_at;  // nobody may keep it for longer
};

// Used by one thread, that of the front's event loop.
class Upstream {
 public:
  virtual ~Upstream() = default;

  // nullptr: there is no such pool.
  virtual const ShelfPool* pool(const std::string& name) const = 0;

  // Calls back once, perhaps never when the upstream goes away. `id` is the
  // upstream's to choose.
  virtual void enrol(Enrol request, std::function<void(const Enrolled&)> done) = 0;
  virtual void seen(SeenList members) = 0;

  // nullptr: the pool has no issuer, or nothing is published yet.
  virtual const ShelfDirectory* directory(const std::string& pool) const = 0;
  // As enrol().
  virtual void issue(Issue request, std::function<void(const Issued&)> done) = 0;
  // What the pools' stores say (records.hpp).
  virtual void sentinel_made(SentinelMade answer) = 0;
  virtual void record_lost(RecordLost loss) = 0;
};

}  // namespace keyd
