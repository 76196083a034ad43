// What a front serves, and where that comes from: the keeper behind a
// socketpair, or, for a relay, another front. The front's one code path.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "messages.hpp"

namespace keyd {

// What is known of one pool. Ciphertext and public data.
struct ShelfPool {
  std::uint64_t generation = 0;               // 0 = nothing published yet
  std::shared_ptr<const std::string> bundle;  // the HTTP body
  std::map<std::string, MemberWrap> wraps;    // by member, of this generation
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
};

}  // namespace keyd
