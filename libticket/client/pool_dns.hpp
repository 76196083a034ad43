// Asks DNS which pool a server belongs to, in the background.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "base/clock.hpp"

struct ub_ctx;
struct ub_result;

namespace ticket::client {

struct DnsCounts {
  std::uint64_t queries = 0, answers = 0;  // answers: whatever is no failure, also "no such name"
  std::uint64_t failures = 0;              // SERVFAIL, timeouts
  std::uint64_t ignored = 0;               // TXT records that say nothing
};

// Any thread. Has one thread of its own, and libunbound another.
class PoolDns {
 public:
  // `server`: ADDRESS@PORT of a resolver; empty = as /etc/resolv.conf says. `clock` is
  // asked from any thread. Throws std::runtime_error when no resolver can be made.
  PoolDns(const std::string& server, std::function<sys_seconds()> clock);
  ~PoolDns();
  PoolDns(const PoolDns&) = delete;

  // The pool id that DNS tells for a host, if that is known now, or within `patience`.
  // What is not known, or about to be no more, is asked for.
  std::optional<std::string> find(const std::string& host, std::chrono::milliseconds patience);

  DnsCounts counts() const;
  // Ends the threads. Nothing is found any more that is not known.
  void stop();

 private:
  struct Entry {
    std::optional<std::string> id;
    sys_seconds since{}, until{}, refresh_at{};
    bool known = false, asked = false;
  };
  struct Shard {
    std::mutex mutex;
    std::condition_variable answered;
    std::unordered_map<std::string, Entry> entries;
  };
  struct Question {
    PoolDns* asker;
    std::string host;
    bool operator<(const Question& other) const { return host < other.host; }
  };
  struct Close {
    void operator()(ub_ctx* context) const;
  };

  Shard& shard_of(std::string_view host);
  bool ask(const std::string& host);
  void wake();
  void run();
  void send_questions();
  void send_question(const std::string& host);
  void give_up(const std::string& host);
  void answer(const std::string& host, std::optional<std::string> id, seconds ttl);
  void take_result(const std::string& host, int error, const ub_result* result);
  static void on_result(void* question, int error, ub_result* result);
  static void make_room(Shard& shard, sys_seconds now);

  const std::function<sys_seconds()> clock_;
  std::unique_ptr<ub_ctx, Close> context_;
  std::array<Shard, 16> shards_;
  std::mutex queue_mutex_;
  std::deque<std::string> queue_;
  std::set<Question> open_;  // asked and not answered; the thread's own
  int wake_ = -1;            // an eventfd
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> queries_{0}, answers_{0}, failures_{0}, ignored_{0};
  std::thread thread_;
};

}  // namespace ticket::client
