// The sessions that a client keeps, by pool and partition.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "client/key_table.hpp"
#include "client/may_offer.hpp"
#include "client/pool_map.hpp"

namespace ticket::client {

struct CacheLimits {
  std::size_t sessions = 8192;  // in all
  std::size_t per_name = 4;     // of one lineage's name in one pool
  std::size_t per_pool = 64;    // so that a pool of many names takes no more
};

// Any thread; a lookup takes the lock of one of many shards.
class SessionCache {
 public:
  // Asked, under that lock, of each session that could be offered, newest first.
  using Judge = std::function<Verdict(const Session&)>;

  explicit SessionCache(CacheLimits limits) : limits_(limits) {}

  // Keeps a session. A TLS 1.2 one replaces what the same server gave before it. When
  // there are too many, the pool that was used least recently goes.
  void put(const Name& partition, const Pool& pool, Session session);

  // The newest session that `judge` says yes to. One of TLS 1.3 is taken out for good;
  // one of TLS 1.2 stays, and a copy is given. Else what it said of the newest, or none.
  // What it calls expired is dropped.
  struct Found {
    std::optional<Session> session;
    Verdict why = Verdict::none;
  };
  Found take(const Name& partition, const Pool& pool, const Judge& judge);

  // Each session, as long as nobody puts or takes; for the cache file.
  void each(const std::function<void(std::string_view partition, std::string_view pool,
                                     const Session&)>& visit) const;

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  void clear();

 private:
  // What is kept of one pool in one partition.
  struct Bucket {
    std::vector<Session> sessions;  // newest last
    std::uint64_t used = 0;         // when it was, last
    std::uint64_t filed = 0;        // under which time it stands in `uses`; 0 = a free place
    Name partition;
    Pool pool;
  };
  // Buckets have numbers, so that a lookup goes from the table to the bucket at once.
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    KeyTable numbers;  // by partition and pool
    std::vector<Bucket> buckets;
    std::vector<std::uint32_t> free;                         // places in `buckets`
    std::set<std::pair<std::uint64_t, std::uint32_t>> uses;  // the time filed under, and whose
  };

  Shard& shard_of(const NameKey& key) { return shards_[key.high % shards_.size()]; }
  static Bucket& add(Shard& shard, const Name& partition, const Pool& pool, std::uint64_t now);
  static void remove(Shard& shard, std::uint32_t number);
  void sweep(Shard& shard);
  static const Bucket* least_recent(Shard& shard);
  void make_room(std::vector<Session>& sessions, const Session& next);
  void forget(std::vector<Session>& sessions, std::vector<Session>::iterator session);
  bool drop_least_recent();

  const CacheLimits limits_;
  std::array<Shard, 64> shards_;
  std::atomic<std::uint64_t> moments_{0};  // goes on by two with each put
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace ticket::client
