// What the processes of one host have spent in one epoch: a table of fingerprints in
// memory that they share.
//
//   line ──► | fingerprint | fingerprint |   free   | ... 8 of 8 bytes: a cache line
//   location: 8 bytes choose the line, the next 8 are the fingerprint
//
// A claim walks from its line to the first free place, and takes it with one
// compare-and-swap. Nothing is ever taken out, so all who claim one location walk the
// same way and meet at the same place; who is killed leaves the place taken or free.
// There is no lock. That one of 10^7 locations is mistaken for another, and refused, has
// a probability of less than 10^-11.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/clock.hpp"
#include "replay/index.hpp"
#include "ring/ring_file.hpp"

namespace ticket::replay {

using EpochId = ByteArray<16>;

// Tells one table from every other, also from a copy of its file.
using TableName = ByteArray<8>;

// The `begins` of what carries the name of its table, and so was made after it.
constexpr sys_seconds by_name = sys_seconds::max();

// The epoch that a table is for.
struct TableEpoch {
  EpochId id{};
  sys_seconds begins;  // nothing was spent in it before: RedeemerEpoch's `begins`; or by_name
};

// How a table is made. Its size stands for the epoch's length: what does not fit is
// unknown, and nothing is evicted to make room.
struct TableSize {
  std::size_t entries = 1'000'000;  // 1 to 2^32; 12 bytes each
};

// Why a table answers `unknown` to everything.
enum class TableState {
  ok,
  closed,      // its epoch is over
  early,       // of a file, and not tended since its epoch began
  younger,     // made after its epoch began: what was spent before is not in it
  replaced,    // its file is no longer there: others may spend in another one
  other_boot,  // of before a restart: what was spent last may not have been kept
};
const char* to_text(TableState state);

struct Unmap {
  std::size_t size = 0;
  void operator()(void* map) const noexcept;
};

// One process's view of a table. Shared between threads, and by fork: a child goes on
// with its parent's. A table with a file wants tend() about once a second; nothing is
// fresh in it until it was tended after its epoch began.
class Table final : public Index {
 public:
  // Opens the file at `path`, or makes it (mode 0660, `group` -1 = as it comes), whole or
  // not at all: of several that make it at once one does. For a file on tmpfs, in a
  // folder where nobody else may write: who may write to it may forget what was spent,
  // and who shortens it ends the processes that use it (SIGBUS); see docs/tokens.md.
  // Throws std::system_error or std::runtime_error naming the path and the way out, also
  // for what is no table or another epoch's; that is left as it is.
  static Table open(const std::filesystem::path& path, const TableEpoch& epoch, TableSize size,
                    Moment now, int group = -1);
  // Opens the file at `path` and makes none; nullopt when nothing is there. Throws as open().
  static std::optional<Table> find(const std::filesystem::path& path, const TableEpoch& epoch,
                                   Moment now);
  // Sealed memory without a name, which nobody can shorten: hand file() on to others, by
  // fork or over a socket. Throws std::system_error.
  static Table make(const TableEpoch& epoch, TableSize size, Moment now);
  // The table that somebody handed on. Throws std::runtime_error for memory that is not
  // sealed against shortening, for what is no table, and for another epoch's.
  static Table attach(ring::Fd file, const TableEpoch& epoch, Moment now);

  TableState state() const noexcept;

  // Looks whether the table is still the one that others open (its path may have been
  // removed or given to another file), and whether it was made in time, by what time it is
  // now. What it finds wrong stays so for this process. Two system calls; gives state().
  TableState tend(Moment now) noexcept;

  // replay without unknown: whether it is certain that this was spent. For refusing a
  // replay before anything costly is done; `false` promises nothing.
  bool holds(const Location& location) const noexcept;

  Verdict claim(const Location& location, const ClaimId& claim_id) noexcept override;

  // The epoch is over: every process that has this table gets `unknown` from now on. The
  // file is the caller's to remove.
  void close() noexcept;

  // Whether who opens the path gets this table. Memory has no path, and stays.
  bool in_place() const noexcept;
  const TableName& name() const { return name_; }
  // Random, the same for all who have this table: for keys that are its own.
  const ByteArray<16>& seed() const { return seed_; }

  const ring::Fd& file() const { return file_; }
  std::size_t bytes() const { return map_.get_deleter().size; }
  // How full it is, from 0 to 1, by a sample of a thousand lines.
  double load() const noexcept;

 private:
  using Place = std::atomic<std::uint64_t>;

  // The state as this process found it. It moves with its table, which nobody shares yet.
  class Finding {
   public:
    Finding() = default;
    Finding(Finding&& other) noexcept : state_(other.get()) {}
    Finding& operator=(Finding&& other) noexcept {
      state_ = other.get();
      return *this;
    }
    TableState get() const noexcept { return state_.load(std::memory_order_relaxed); }
    // From early to ok to what is wrong, and never back.
    void set(TableState state) noexcept;

   private:
    std::atomic<TableState> state_{TableState::early};
  };

  // `path` is empty for memory.
  Table(ring::Fd file, const TableEpoch& epoch, Moment now, const std::filesystem::path& path);
  bool made_in_time(Moment now) const noexcept;
  // Walks from the location's line: calls `on(place, value)` until it gives a verdict.
  template <class On>
  Verdict walk(const Location& location, On on) const noexcept;

  ring::Fd file_;
  std::filesystem::path path_;
  sys_seconds begins_, opened_;
  std::int64_t opened_boot_ = 0;  // boot time, in nanoseconds
  ByteArray<16> seed_{};
  TableName name_{};
  std::unique_ptr<void, Unmap> map_;
  std::atomic<std::uint32_t>* closed_ = nullptr;
  Place* places_ = nullptr;
  std::uint64_t lines_ = 0;
  Finding finding_;
};

}  // namespace ticket::replay
