#include "client/doubts.hpp"

#include <algorithm>

namespace ticket::client {

namespace {

constexpr seconds first_doubt = std::chrono::minutes(10);
constexpr seconds longest_doubt = std::chrono::hours(24);
constexpr std::size_t most = 4096;  // of each; whoever has more forgets one

std::string key_of(const std::string& server, const std::string& pool) {
  return server + ' ' + pool;
}

template <class Table>
void make_room(Table& table) {
  if (table.size() >= most) table.erase(table.begin());
}

}  // namespace

void Doubts::count() { troubles_ = doubts_.size() + failures_.size(); }

bool Doubts::holds(const std::string& server, const std::string& pool, sys_seconds now) const {
  if (troubles_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(mutex_);
  const auto doubt = doubts_.find(key_of(server, pool));
  return doubt != doubts_.end() && now < doubt->second.until;
}

bool Doubts::refused(const std::string& server, const std::string& pool, sys_seconds now) {
  if (after_ == 0) return false;
  const std::lock_guard guard(mutex_);
  const auto key = key_of(server, pool);
  if (!doubts_.contains(key)) make_room(doubts_);
  Doubt& doubt = doubts_[key];
  count();
  if (++doubt.misses < after_) return false;
  doubt.misses = after_ - 1;  // once it is over, one more is enough
  doubt.length =
      doubt.length == seconds(0) ? first_doubt : std::min(doubt.length * 2, longest_doubt);
  doubt.until = now + doubt.length;
  return true;
}

void Doubts::resumed(const std::string& server, const std::string& pool) {
  if (troubles_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard guard(mutex_);
  doubts_.erase(key_of(server, pool));
  count();
}

void Doubts::failed(const std::string& server) {
  const std::lock_guard guard(mutex_);
  make_room(failures_);
  failures_.insert(server);
  count();
}

bool Doubts::take_failure(const std::string& server) {
  if (troubles_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(mutex_);
  const bool had = failures_.erase(server) > 0;
  count();
  return had;
}

}  // namespace ticket::client
