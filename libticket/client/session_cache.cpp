#include "client/session_cache.hpp"

#include <algorithm>
#include <chrono>

namespace ticket::client {

namespace {

// A partition is named by the application and may hold any byte but NUL.
std::string key_of(std::string_view partition, std::string_view pool) {
  std::string key;
  key.reserve(partition.size() + 1 + pool.size());
  key += partition;
  key += '\0';
  key += pool;
  return key;
}

// Orders uses over all shards.
std::uint64_t tick() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

Session copy_of(const Session& from) {
  return {copy(from.session.get()),
          from.lineage,
          from.server,
          from.alpn,
          from.received,
          from.expires,
          from.version,
          from.cipher,
          from.has_ticket};
}

// The oldest session of the name that has most of them: a pool's names are each whoever
// says so in DNS, and none shall fill it alone.
std::vector<Session>::iterator oldest_of_most_frequent(std::vector<Session>& sessions) {
  std::unordered_map<std::string_view, std::size_t> counts;
  std::size_t most = 0;
  for (const auto& session : sessions) most = std::max(most, ++counts[session.lineage->name]);
  return std::ranges::find_if(
      sessions, [&](const Session& session) { return counts[session.lineage->name] == most; });
}

}  // namespace

// Empty ones are kept, or each resumption would make a bucket anew; until there are many.
void SessionCache::sweep(Shard& shard) {
  if (shard.buckets.size() < 64 + limits_.sessions / shards_.size() * 2) return;
  for (auto at = shard.buckets.begin(); at != shard.buckets.end();) {
    at = at->second.sessions.empty() ? remove(shard, at) : std::next(at);
  }
}

SessionCache::Buckets::iterator SessionCache::remove(Shard& shard, Buckets::iterator bucket) {
  shard.uses.erase({bucket->second.filed, &*bucket});
  return shard.buckets.erase(bucket);
}

// The least recently used bucket. What was used since it was filed is filed anew: here, not
// at each use.
SessionCache::Buckets::value_type* SessionCache::least_recent(Shard& shard) {
  while (!shard.uses.empty()) {
    auto* const bucket = shard.uses.begin()->second;
    if (bucket->second.filed == bucket->second.used) return bucket;
    shard.uses.erase(shard.uses.begin());
    bucket->second.filed = bucket->second.used;
    shard.uses.emplace(bucket->second.filed, bucket);
  }
  return nullptr;
}

void SessionCache::forget(std::vector<Session>& sessions, std::vector<Session>::iterator session) {
  sessions.erase(session);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

void SessionCache::make_room(std::vector<Session>& sessions, const Session& next) {
  const auto forget_oldest = [&](auto which) {
    const auto found = std::ranges::find_if(sessions, which);
    if (found != sessions.end()) forget(sessions, found);
  };
  if (!next.once()) {
    forget_oldest([&](const Session& old) { return !old.once() && old.server == next.server; });
  }
  const auto same_name = [&](const Session& old) {
    return old.lineage->name == next.lineage->name;
  };
  while (static_cast<std::size_t>(std::ranges::count_if(sessions, same_name)) >= limits_.per_name) {
    forget_oldest(same_name);
  }
  while (sessions.size() >= std::min(limits_.per_pool, limits_.sessions)) {
    forget(sessions, oldest_of_most_frequent(sessions));
  }
}

void SessionCache::put(std::string_view partition, std::string_view pool, Session session) {
  const auto key = key_of(partition, pool);
  {
    Shard& shard = shard_of(key);
    const std::lock_guard guard(shard.mutex);
    const auto [at, fresh] = shard.buckets.try_emplace(key);
    Bucket& bucket = at->second;
    bucket.used = tick();
    if (fresh) {
      bucket.filed = bucket.used;
      shard.uses.emplace(bucket.filed, &*at);
    }
    make_room(bucket.sessions, session);
    bucket.sessions.push_back(std::move(session));
    if (fresh) sweep(shard);
    size_.fetch_add(1, std::memory_order_relaxed);
  }
  while (size() > limits_.sessions && drop_least_recent()) {
  }
}

SessionCache::Found SessionCache::take(std::string_view partition, std::string_view pool,
                                       const Judge& judge) {
  const auto key = key_of(partition, pool);
  Shard& shard = shard_of(key);
  Found found;
  const std::lock_guard guard(shard.mutex);
  const auto at = shard.buckets.find(key);
  if (at == shard.buckets.end()) return found;
  Bucket& bucket = at->second;
  auto& sessions = bucket.sessions;
  bucket.used = tick();
  for (auto i = sessions.size(); i-- > 0 && !found.session;) {
    const auto verdict = judge(sessions[i]);
    const auto here = sessions.begin() + static_cast<std::ptrdiff_t>(i);
    if (found.why == Verdict::none || verdict == Verdict::yes) found.why = verdict;
    if (verdict == Verdict::yes && !sessions[i].once()) {
      found.session = copy_of(sessions[i]);
    } else if (verdict == Verdict::yes) {
      found.session = std::move(sessions[i]);
      forget(sessions, here);
    } else if (verdict == Verdict::expired) {
      forget(sessions, here);
    }
  }
  return found;
}

bool SessionCache::drop_least_recent() {
  Shard* oldest = nullptr;
  std::uint64_t used = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    const auto* first = least_recent(shard);
    if (first == nullptr) continue;
    if (oldest == nullptr || first->second.used < used) {
      oldest = &shard;
      used = first->second.used;
    }
  }
  if (oldest == nullptr) return false;
  const std::lock_guard guard(oldest->mutex);
  if (size() <= limits_.sessions) return false;  // another thread was faster
  const auto* first = least_recent(*oldest);
  if (first == nullptr) return true;  // another thread was faster
  const auto count = first->second.sessions.size();
  size_.fetch_sub(count, std::memory_order_relaxed);
  dropped_.fetch_add(count, std::memory_order_relaxed);
  remove(*oldest, oldest->buckets.find(first->first));
  return true;
}

void SessionCache::each(
    const std::function<void(std::string_view, std::string_view, const Session&)>& visit) const {
  for (const Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    for (const auto& bucket : shard.buckets) {
      const std::string_view key = bucket.first;
      const auto split = key.find('\0');
      for (const auto& session : bucket.second.sessions) {
        visit(key.substr(0, split), key.substr(split + 1), session);
      }
    }
  }
}

void SessionCache::clear() {
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    for (const auto& [key, bucket] : shard.buckets) {
      size_.fetch_sub(bucket.sessions.size(), std::memory_order_relaxed);
    }
    shard.uses.clear();
    shard.buckets.clear();
  }
}

}  // namespace ticket::client
