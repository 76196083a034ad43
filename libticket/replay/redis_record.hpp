// What stands in Redis for one token epoch, and what Redis must be for it to be believed.
//
//   {tkt:POOL}:EPOCH:s   the sentinel: RUNID:REPLID:BUCKETS:RANDOM
//   {tkt:POOL}:EPOCH:N   bucket N, a hash: 8 bytes of the location -> 12 of the claim's id
//
// EPOCH and RANDOM are hex. The sentinel is made once, before its epoch issues, and every
// claim compares all of it. So a claim that finds it finds also every record since:
// Redis has not restarted (a new run id), nobody became master in the meantime who lacks
// the last writes (a new replication id), nobody flushed or lost the keys, and all who
// claim look for a location in the same bucket. What is in braces is what Redis Cluster
// hashes: all keys of a pool are on one node.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "replay/index.hpp"

namespace ticket::replay {

using EpochId = ByteArray<16>;

// An epoch whose record is in Redis.
struct RedisEpoch {
  std::string pool;
  EpochId id{};
  ByteArray<16> random{};      // of its sentinel: from the token block
  std::uint32_t capacity = 0;  // tokens; fixed when the epoch is made

  bool operator==(const RedisEpoch&) const = default;
};

// A bucket holds that many on average when the epoch is full. Redis keeps hashes of up to
// hash-max-listpack-entries (512) in one piece of memory, 24 bytes an entry.
constexpr std::uint32_t bucket_entries = 96;
std::uint32_t buckets_of(const RedisEpoch& epoch);

std::string key_prefix(const RedisEpoch& epoch);  // "{tkt:web}:0123...:"
std::string sentinel_key(const RedisEpoch& epoch);

// The bucket that a location is in, and the field in there.
std::uint32_t bucket_of(const Location& location, std::uint32_t buckets);
std::string_view field_of(const Location& location);

// 0: fresh, 1: replay, -1: not the sentinel. KEYS: sentinel, bucket. ARGV: the sentinel's
// value, field, claim id. A bucket outlives its sentinel by an hour by Redis's own clock,
// whatever those who claim believe that the time is.
extern const std::string_view claim_script;

// When a sentinel expires: some time after the last token may be redeemed.
sys_seconds sentinel_expires(sys_seconds redeems_until);

// What a Redis says of itself.
struct RedisServer {
  std::string run_id;          // 40 hex characters, new at each start
  std::string replication_id;  // the same, new at each change of master
  std::string role;            // "master"
  std::string policy;          // maxmemory-policy
  bool append_only = false;
  std::string append_fsync;
  long long listpack_entries = 0, listpack_value = 0;  // 0: it did not say

  bool same_data(const RedisServer& other) const {
    return run_id == other.run_id && replication_id == other.replication_id;
  }
};

// Takes what an answer to INFO says; the rest stays as it is.
void read_info(RedisServer& server, std::string_view info);
// The same of an answer to CONFIG GET: names and values in turn.
void read_config(RedisServer& server, const std::vector<std::string>& pairs);

std::string sentinel_value(const RedisEpoch& epoch, const RedisServer& server);

// Why it may not keep the record, in words for an operator.
struct RedisRefusal {
  std::string why;
  bool loses = false;  // what it held may be gone: the epochs are to end
};

// An empty `why`: it may. `durable`: only with an append-only file that is always synced.
RedisRefusal refusal(const RedisServer& server, bool durable);
// What it may do and should not, each with what comes of it.
std::vector<std::string> warnings(const RedisServer& server);

}  // namespace ticket::replay
