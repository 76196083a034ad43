// What the servers of one host did with tickets and tokens. Counted in memory, atomically;
// flush() writes a process's counts to its slot of a file that all processes of
// the host share. What an ended process counted is kept.
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>

#include "base/checked.hpp"
#include "crypto/random.hpp"
#include "ring/ring_file.hpp"

namespace ticket::ring {

enum class Counter : unsigned {
  sealed,             // tickets sent
  not_sealed,         // wanted to, but no key may seal
  resumed_announced,  // by the state of the key that opened
  resumed_sealing,
  resumed_opening,
  unknown_key,  // reasons for a full handshake
  context,
  expired,
  forged,
  malformed,
  lineage,
  revoked,
  name,
  token_ok,  // one-time tokens, as redeem::Outcome
  token_missing,
  token_malformed,
  token_wrong_audience,
  token_early,
  token_expired,
  token_unknown_key,
  token_invalid,
  token_replay,
  token_unknown,
  count_,
};
constexpr std::size_t counter_count = static_cast<std::size_t>(Counter::count_);
const char* to_text(Counter counter);
// Where a ticket that was not taken is counted.
Counter counter_of(Rejection why);
// Where the token of an outcome is counted, 0 for the first.
constexpr Counter token_counter(unsigned outcome) {
  return static_cast<Counter>(static_cast<unsigned>(Counter::token_ok) + outcome);
}

using Counts = std::array<std::uint64_t, counter_count>;

// Threads: add() and own() any; flush() one at a time does the work.
class Counters {
 public:
  // An empty path, or a file that cannot be used, counts in this process alone.
  explicit Counters(std::filesystem::path path);
  ~Counters();

  void add(Counter counter) noexcept {
    counts_[static_cast<std::size_t>(counter)].fetch_add(1, std::memory_order_relaxed);
  }
  // What this process counted.
  Counts own() const;
  // Writes to the file, taking a slot first when it has none. Never throws.
  void flush() noexcept;

  // Makes the file (mode 0660, `group` -1 = as it comes); an old one keeps its
  // counts. Throws std::system_error or std::runtime_error naming the path.
  static void create(const std::filesystem::path& path, int group = -1);
  // Sums over all processes, also the ended ones; zeros when there is no file.
  static Counts sum(const std::filesystem::path& path);

 private:
  bool take_slot();
  bool still_mine() const;

  const std::filesystem::path path_;
  std::array<std::atomic<std::uint64_t>, counter_count> counts_{};
  std::mutex flushing_;
  crypto::ForkWatch fork_;
  Counts inherited_{};  // counted by the parent before this process was forked
  Counts in_slot_{};    // what our slot says
  Counts elsewhere_{};  // ours, but gathered from a slot that we lost
  Fd file_;
  std::size_t slot_ = 0;  // 0 = none yet
  std::uint64_t owner_ = 0;
};

}  // namespace ticket::ring
