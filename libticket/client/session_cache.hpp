// The sessions that a client keeps, by pool and partition.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/may_offer.hpp"

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
  void put(std::string_view partition, std::string_view pool, Session session);

  // The newest session that `judge` says yes to. One of TLS 1.3 is taken out for good;
  // one of TLS 1.2 stays, and a copy is given. Else what it said of the newest, or none.
  // What it calls expired is dropped.
  struct Found {
    std::optional<Session> session;
    Verdict why = Verdict::none;
  };
  Found take(std::string_view partition, std::string_view pool, const Judge& judge);

  // Each session, as long as nobody puts or takes; for the cache file.
  void each(const std::function<void(std::string_view partition, std::string_view pool,
                                     const Session&)>& visit) const;

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  void clear();

 private:
  struct Bucket;
  // partition | pool, as one key
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Buckets = std::unordered_map<std::string, Bucket, Hash, std::equal_to<>>;
  using Uses = std::set<std::pair<std::uint64_t, Buckets::value_type*>>;
  struct Bucket {
    std::vector<Session> sessions;  // newest last
    std::uint64_t used = 0;         // when it was, last
    std::uint64_t filed = 0;        // under which time it stands in `uses`
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    Buckets buckets;
    Uses uses;  // by the time that each was filed under
  };

  Shard& shard_of(std::string_view key) { return shards_[Hash{}(key) % shards_.size()]; }
  void sweep(Shard& shard);
  static Buckets::iterator remove(Shard& shard, Buckets::iterator bucket);
  static Buckets::value_type* least_recent(Shard& shard);
  void make_room(std::vector<Session>& sessions, const Session& next);
  void forget(std::vector<Session>& sessions, std::vector<Session>::iterator session);
  bool drop_least_recent();

  const CacheLimits limits_;
  std::array<Shard, 64> shards_;
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace ticket::client
