// Servers that did not do as the pool map says, and those whose last handshake failed.
#pragma once

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.hpp"
#include "client/pool_map.hpp"

namespace ticket::client {

// A server that answers tickets of other servers of its pool with full handshakes
// `after` times in a row is taken out of the pool for ten minutes, then, each time that
// the next try fails too, for twice as long, at most a day. One that resumes is back at
// once. Any thread; while there is no trouble, nothing is locked.
class Doubts {
 public:
  explicit Doubts(unsigned after) : after_(after) {}

  bool holds(const Server& server, const Pool& pool, sys_seconds now) const;
  // True when that begins a doubt.
  bool refused(const Server& server, const Pool& pool, sys_seconds now);
  // `other`: by a ticket of another server.
  void resumed(const Server& server, const Pool& pool, bool other);

  // The server ended a handshake that offered a session: the next one offers none. With a ticket of
  // another server that begins a doubt at once: then true. Two failures with no resumption
  // between them, and the server is offered nothing for as long as a doubt lasts.
  bool failed(const Server& server, const Pool& pool, bool other, sys_seconds now);
  // It said nothing until the application gave up: the same, except that one of these by itself
  // begins no doubt. That may have been the network.
  void silent(const Server& server, sys_seconds now);
  // The next one offers none.
  void skip_next(const Server& server);
  // Whether to offer nothing: once after a failure, and as long as that doubt lasts.
  bool take_failure(const Server& server, sys_seconds now);

 private:
  struct Doubt {
    unsigned misses = 0;
    seconds length{0};
    sys_seconds until{};
    bool holds(sys_seconds now) const;
  };
  void count();
  void add_failure(const Server& server);
  bool miss(const NameKey& key, unsigned enough, sys_seconds now);

  const unsigned after_;
  mutable std::mutex mutex_;
  std::unordered_map<NameKey, Doubt, NameKeyHash> doubts_;  // by server and pool
  std::unordered_set<NameKey, NameKeyHash> failures_;       // by server
  std::atomic<std::size_t> troubles_{0};
};

}  // namespace ticket::client
