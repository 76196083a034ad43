// A client that knows pools: what to offer to a server, and what to keep of what it gave.
// No connection here: attachment.hpp joins it to OpenSSL's.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "client/cache_file.hpp"
#include "client/doubts.hpp"
#include "client/may_offer.hpp"
#include "client/pools.hpp"
#include "client/session_cache.hpp"

namespace ticket::client {

enum class LogLevel { error, warning, info, debug };

struct ClientOptions {
  CacheLimits limits;
  bool any_name = false;     // TLS 1.2 across names: for closed fleets
  seconds lineage{86400};    // after its full handshake nothing resumes
  unsigned doubt_after = 3;  // 0 = never
  bool dns = false;
  std::string dns_server;  // see PoolDns
  std::chrono::milliseconds dns_wait{0};
  std::string cache_path;  // empty = none
  std::function<void(LogLevel, const std::string&)> log;
  std::function<sys_seconds()> clock;  // needed
};

enum class Count {
  prepared,       // connections that a session was looked for
  offered,        // of these: with a session
  offered_other,  // of these: with a ticket of another server
  resumed,
  resumed_other,
  refused,  // offered, and a full handshake came of it
  failed,   // offered, and no handshake came to its end
  stored,   // sessions kept
  doubted,  // servers taken out of their pool for a time
  last
};

struct PoolCounts {
  std::uint64_t offered = 0, resumed = 0, refused = 0, failed = 0;
};

// What a connection is given to offer.
struct Offer {
  Pool pool;
  std::optional<Session> session;
  Verdict why = Verdict::none;
};

// How a handshake that was prepared ended.
enum class End {
  full,
  resumed,
  failed,     // by the server's doing
  silent,     // the application waited, and gave it up
  unmade,     // there was no ClientHello
  abandoned,  // too soon to say anything of the server
};

class Client {
 public:
  // Loads the cache file. Throws std::runtime_error when DNS is asked for and no resolver
  // can be made; a cache file that is no good is logged.
  explicit Client(ClientOptions options);

  // Replaces the manifest, or says what is wrong with it and keeps the one that is there.
  tl::expected<void, std::string> use_manifest(std::string_view text);

  Offer offer(const Name& partition, const Target& target);
  // Whether what was given may still go, by what the connection is now.
  bool may_still_go(const Session& session, const Target& target) const {
    return !closed() && may_offer(session, target, options_.any_name, now()) == Verdict::yes;
  }
  // A session that came by a connection of this partition to its server.
  void keep(const Name& partition, Session session);
  // What became of the offer. `ticket_of`: the session's server; nullptr = none was offered.
  void conclude(const Server& server, const Pool& pool, const Server* ticket_of, End end);

  // What became of a store that was to come. From then on sessions are compared with it, where
  // one is to come; once there are two kinds, nothing is offered there any more.
  void note_store(const StoreSettings& store);
  // What one that is to come is likely to become: the same as the last one.
  std::optional<StoreSettings> likely_store() const;

  // Writes the cache file; no path = nothing to do. Throws std::system_error.
  void save();
  // Writes it a last time, and gives it up to the next process. From then on nothing is
  // offered or kept. Not while another thread is in a function of this client.
  void close();

  std::uint64_t count(Count which) const;
  DnsCounts dns_counts() const { return pools_.dns_counts(); }
  std::size_t sessions() const { return cache_.size(); }
  std::uint64_t dropped() const { return cache_.dropped(); }
  std::size_t manifest_size() const { return inherited() ? 0 : pools_.manifest_size(now()); }
  // By pools that a manifest or DNS named, as they are called in pool_map.hpp.
  std::map<std::string, PoolCounts> pool_counts() const;

  // So is one that a fork copied: what it holds is the parent's to offer, its locks may be
  // held, which nothing here then takes, and its threads are not there.
  bool closed() const { return closed_ || inherited(); }
  bool inherited() const { return process_ != process(); }
  // Instead of close(), in a child: gives up the copies of descriptors, and nothing else.
  void disown() { file_.disown(); }
  sys_seconds now() const { return options_.clock(); }
  void log(LogLevel level, const std::string& text) const {
    if (options_.log) options_.log(level, text);
  }

 private:
  struct alignas(64) Counters {
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Count::last)> values{};
  };

  void add(Count which);
  void add(const Pool& pool, End end);
  // A pool, and the manifest's word for it; 0 = somebody else's, or it is being swapped.
  struct Place {
    Pool pool;
    std::uint64_t word = 0;
  };
  Place place_of(const Server& server, sys_seconds now, std::chrono::milliseconds patience);
  bool is_there(const Session& session, const Place& place, sys_seconds now);
  SessionCache::Found look(const Name& partition, const Place& place, const Target& target,
                           sys_seconds now);
  bool may_go(const Session& session);
  // False for one that is over.
  bool put(const Name& partition, const Pool& pool, Session session);
  void load();

  // Which of a line of forks this is.
  static unsigned process();

  const ClientOptions options_;
  const unsigned process_ = process();
  Pools pools_;
  SessionCache cache_;
  Doubts doubts_;
  CacheFile file_;
  mutable std::mutex store_mutex_;
  std::optional<StoreSettings> store_;      // the one that came
  std::atomic<bool> stores_differ_{false};  // another one came too
  std::atomic<bool> told_{false};           // that the file cannot be removed
  std::atomic<bool> closed_{false};
  std::array<Counters, 16> counters_;
  mutable std::mutex pool_counts_mutex_;
  std::map<std::string, PoolCounts> pool_counts_;
};

}  // namespace ticket::client
