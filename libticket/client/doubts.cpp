#include "client/doubts.hpp"

#include <algorithm>

#include "client/still_holds.hpp"

namespace ticket::client {

namespace {

constexpr seconds first_doubt = std::chrono::minutes(10);
constexpr seconds longest_doubt = std::chrono::hours(24);
const NameKey any_ticket;           // in a pool's place: the server, whosever ticket
constexpr std::size_t most = 4096;  // of each; whoever has more forgets one

template <class Table>
void make_room(Table& table) {
  if (table.size() >= most) table.erase(table.begin());
}

}  // namespace

bool Doubts::Doubt::holds(sys_seconds now) const { return still_holds(until - length, until, now); }

void Doubts::count() { troubles_ = doubts_.size() + failures_.size(); }

bool Doubts::holds(const Server& server, const Pool& pool, sys_seconds now) const {
  if (troubles_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(mutex_);
  const auto doubt = doubts_.find(joined(server.key(), pool.key()));
  return doubt != doubts_.end() && doubt->second.holds(now);
}

// Takes note of a miss; `enough` of them begin a doubt.
bool Doubts::miss(const NameKey& key, unsigned enough, sys_seconds now) {
  if (!doubts_.contains(key)) make_room(doubts_);
  Doubt& doubt = doubts_[key];
  count();
  if (++doubt.misses < enough) return false;
  doubt.misses = enough - 1;  // once it is over, one more is enough
  doubt.length =
      doubt.length == seconds(0) ? first_doubt : std::min(doubt.length * 2, longest_doubt);
  doubt.until = now + doubt.length;
  return true;
}

bool Doubts::refused(const Server& server, const Pool& pool, sys_seconds now) {
  if (after_ == 0) return false;
  const std::lock_guard guard(mutex_);
  return miss(joined(server.key(), pool.key()), after_, now);
}

void Doubts::resumed(const Server& server, const Pool& pool, bool other) {
  if (troubles_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard guard(mutex_);
  if (other) doubts_.erase(joined(server.key(), pool.key()));
  doubts_.erase(joined(server.key(), any_ticket));
  count();
}

// Takes note that the next one offers none.
void Doubts::add_failure(const Server& server) {
  make_room(failures_);
  failures_.insert(server.key());
  count();
}

bool Doubts::failed(const Server& server, const Pool& pool, bool other, sys_seconds now) {
  const std::lock_guard guard(mutex_);
  add_failure(server);
  miss(joined(server.key(), any_ticket), 2, now);
  return other && miss(joined(server.key(), pool.key()), 1, now);
}

void Doubts::silent(const Server& server, sys_seconds now) {
  const std::lock_guard guard(mutex_);
  add_failure(server);
  miss(joined(server.key(), any_ticket), 2, now);
}

void Doubts::skip_next(const Server& server) {
  const std::lock_guard guard(mutex_);
  add_failure(server);
}

bool Doubts::take_failure(const Server& server, sys_seconds now) {
  if (troubles_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(mutex_);
  const bool had = failures_.erase(server.key()) > 0;
  count();
  const auto doubt = doubts_.find(joined(server.key(), any_ticket));
  return had || (doubt != doubts_.end() && doubt->second.holds(now));
}

}  // namespace ticket::client
