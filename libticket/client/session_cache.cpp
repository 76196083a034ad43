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

}  // namespace

void SessionCache::touch(Shard& shard, Bucket& bucket) {
  bucket.used = tick();
  shard.uses.splice(shard.uses.end(), shard.uses, bucket.place);
}

void SessionCache::remove(Shard& shard, Buckets::iterator bucket) {
  shard.uses.erase(bucket->second.place);
  shard.buckets.erase(bucket);
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
  while (sessions.size() >= limits_.per_pool) forget(sessions, sessions.begin());
}

void SessionCache::put(std::string_view partition, std::string_view pool, Session session) {
  const auto key = key_of(partition, pool);
  {
    Shard& shard = shard_of(key);
    const std::lock_guard guard(shard.mutex);
    const auto [at, fresh] = shard.buckets.try_emplace(key);
    Bucket& bucket = at->second;
    if (fresh) bucket.place = shard.uses.insert(shard.uses.end(), &*at);
    make_room(bucket.sessions, session);
    bucket.sessions.push_back(std::move(session));
    touch(shard, bucket);
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
  touch(shard, bucket);
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
  if (sessions.empty()) remove(shard, at);
  return found;
}

bool SessionCache::drop_least_recent() {
  Shard* oldest = nullptr;
  std::uint64_t used = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    if (shard.uses.empty()) continue;
    const auto first = shard.uses.front()->second.used;
    if (oldest == nullptr || first < used) oldest = &shard, used = first;
  }
  if (oldest == nullptr) return false;
  const std::lock_guard guard(oldest->mutex);
  if (oldest->uses.empty()) return true;  // another thread was faster
  const auto& [key, bucket] = *oldest->uses.front();
  size_.fetch_sub(bucket.sessions.size(), std::memory_order_relaxed);
  dropped_.fetch_add(bucket.sessions.size(), std::memory_order_relaxed);
  remove(*oldest, oldest->buckets.find(key));
  return true;
}

void SessionCache::each(
    const std::function<void(std::string_view, std::string_view, const Session&)>& visit) const {
  for (const Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    for (const auto* use : shard.uses) {
      const std::string_view key = use->first;
      const auto split = key.find('\0');
      for (const auto& session : use->second.sessions) {
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
