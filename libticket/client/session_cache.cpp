#include "client/session_cache.hpp"

#include <algorithm>
#include <unordered_map>

namespace ticket::client {

namespace {

NameKey key_of(const Name& partition, const Pool& pool) {
  return joined(partition.key(), pool.key());
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
  std::unordered_map<NameKey, std::size_t, NameKeyHash> counts;
  const auto name_of = [](const Session& session) { return session.lineage->name.key(); };
  std::size_t most = 0;
  for (const auto& session : sessions) most = std::max(most, ++counts[name_of(session)]);
  return std::ranges::find_if(
      sessions, [&](const Session& session) { return counts[name_of(session)] == most; });
}

}  // namespace

SessionCache::Bucket& SessionCache::add(Shard& shard, const Name& partition, const Pool& pool,
                                        std::uint64_t now) {
  Bucket bucket{{}, now, now, partition, pool};
  if (shard.free.empty()) {
    shard.buckets.emplace_back();
    shard.free.reserve(shard.buckets.capacity());  // so that remove() needs no memory
    shard.free.push_back(static_cast<std::uint32_t>(shard.buckets.size() - 1));
  }
  const auto number = shard.free.back();
  const auto use = shard.uses.emplace(now, number).first;
  try {
    shard.numbers.add(key_of(partition, pool), number);
  } catch (...) {  // no memory: it is not there
    shard.uses.erase(use);
    throw;
  }
  shard.free.pop_back();
  return shard.buckets[number] = std::move(bucket);
}

void SessionCache::remove(Shard& shard, std::uint32_t number) {
  Bucket& bucket = shard.buckets[number];
  shard.uses.erase({bucket.filed, number});
  shard.numbers.remove(key_of(bucket.partition, bucket.pool));
  shard.free.push_back(number);
  bucket = {};
}

// Empty ones are kept, or each resumption would make a bucket anew; until there are many.
void SessionCache::sweep(Shard& shard) {
  if (shard.numbers.size() < 64 + limits_.sessions / shards_.size() * 2) return;
  for (std::uint32_t number = 0; number < shard.buckets.size(); ++number) {
    const Bucket& bucket = shard.buckets[number];
    if (bucket.filed != 0 && bucket.sessions.empty()) remove(shard, number);
  }
}

// The least recently used bucket. What was used since it was filed is filed anew: here, not
// at each use.
const SessionCache::Bucket* SessionCache::least_recent(Shard& shard) {
  while (!shard.uses.empty()) {
    const auto number = shard.uses.begin()->second;
    Bucket& bucket = shard.buckets[number];
    if (bucket.filed == bucket.used) return &bucket;
    auto use = shard.uses.extract(shard.uses.begin());
    use.value().first = bucket.filed = bucket.used;
    shard.uses.insert(std::move(use));
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

void SessionCache::put(const Name& partition, const Pool& pool, Session session) {
  const auto key = key_of(partition, pool);
  {
    Shard& shard = shard_of(key);
    const std::lock_guard guard(shard.mutex);
    const auto now = moments_.fetch_add(2, std::memory_order_relaxed) + 2;
    const auto number = shard.numbers.find(key);
    if (!number) sweep(shard);
    Bucket& bucket = number ? shard.buckets[*number] : add(shard, partition, pool, now);
    bucket.used = now;
    make_room(bucket.sessions, session);
    bucket.sessions.push_back(std::move(session));
    size_.fetch_add(1, std::memory_order_relaxed);
  }
  while (size() > limits_.sessions && drop_least_recent()) {
  }
}

SessionCache::Found SessionCache::take(const Name& partition, const Pool& pool,
                                       const Judge& judge) {
  const auto key = key_of(partition, pool);
  Shard& shard = shard_of(key);
  Found found;
  const std::lock_guard guard(shard.mutex);
  const auto number = shard.numbers.find(key);
  if (!number) return found;
  Bucket& bucket = shard.buckets[*number];
  auto& sessions = bucket.sessions;
  // between the last put and the next; takes between the same two count as one moment
  bucket.used = moments_.load(std::memory_order_relaxed) + 1;
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
    if (oldest == nullptr || first->used < used) {
      oldest = &shard;
      used = first->used;
    }
  }
  if (oldest == nullptr) return false;
  const std::lock_guard guard(oldest->mutex);
  if (size() <= limits_.sessions) return false;  // another thread was faster
  const auto* first = least_recent(*oldest);
  if (first == nullptr) return true;  // another thread was faster
  const auto count = first->sessions.size();
  size_.fetch_sub(count, std::memory_order_relaxed);
  dropped_.fetch_add(count, std::memory_order_relaxed);
  remove(*oldest, static_cast<std::uint32_t>(first - oldest->buckets.data()));
  return true;
}

void SessionCache::each(
    const std::function<void(std::string_view, std::string_view, const Session&)>& visit) const {
  for (const Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    for (const Bucket& bucket : shard.buckets) {
      for (const auto& session : bucket.sessions) {
        visit(bucket.partition.text(), bucket.pool.text(), session);
      }
    }
  }
}

void SessionCache::clear() {
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    for (const Bucket& bucket : shard.buckets) {
      size_.fetch_sub(bucket.sessions.size(), std::memory_order_relaxed);
    }
    shard.uses.clear();
    shard.numbers = {};
    shard.buckets.clear();
    shard.free.clear();
  }
}

}  // namespace ticket::client
