// The file in which a client's sessions outlive it. They are secrets: whoever reads the
// file can pass for the client, and in TLS 1.2 decrypt what was recorded.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/secret.hpp"
#include "client/pool_map.hpp"
#include "client/session_cache.hpp"

namespace ticket::client {

struct CachedSession {
  Name partition;
  Pool pool;
  Session session;
};

constexpr std::size_t max_cache_file_size = 256 << 20;

// What is in such a file, or why not: another file, one of another version, or torn.
// `take` is called only when all of it parsed; sessions that are over at `now` are left
// out. In wire/layout.hpp: "Client's session cache file".
[[nodiscard]] tl::expected<std::vector<CachedSession>, std::string> parse_session_cache(
    BytesView bytes, sys_seconds now);
SecretBytes write_session_cache(const SessionCache& cache, sys_seconds now);

// One process at a time uses a file: a lock beside it says so. Its TLS 1.3 sessions are
// to be offered once, also by the next process: so the file is removed as soon as one
// that may stand in it is offered, and written anew at the end. Any thread.
class CacheFile {
 public:
  explicit CacheFile(std::string path) : path_(std::move(path)) {}
  ~CacheFile();
  CacheFile(const CacheFile&) = delete;

  // Hands over what is in it. Returns why nothing or not all is, or will be, kept in it; empty
  // when all is well, also without a path and when there is no file yet.
  std::string load(sys_seconds now, const std::function<void(CachedSession&&)>& take);
  // Mode 0600, whole or not at all. Throws std::system_error.
  void save(sys_seconds now, const SessionCache& cache);
  // A TLS 1.3 session is about to be taken out of the cache. False when the file can neither
  // be removed nor emptied: then it must not be offered, or the next process would again.
  bool spoil();
  // Closes what a forked child has of it; the parent's lock and file stay.
  void disown();
  // Gives the file up to the next process. Once no session is left to be offered.
  void release();

 private:
  bool lock();
  void close_file();

  const std::string path_;
  int lock_ = -1;
  std::mutex mutex_;                 // of who saves
  std::mutex standing_;              // of who removes or replaces the file
  int file_ = -1;                    // the file at the path
  std::atomic<bool> stands_{false};  // what is in it may be offered by the next process
};

}  // namespace ticket::client
