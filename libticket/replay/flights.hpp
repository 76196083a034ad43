// Early data at most once: which first flights (RFC 8446, section 8) the servers of this
// host have taken.
//
//   ticket sealed ──► carries the name of the table of its epoch, here and now
//   flight arrives ──► is taken only where that very table is, and if it is not in it
//
// A flight belongs to one ticket, a ticket names one table, and a table has one place in
// memory: so of all servers, workers and lives of a pool one can take it, once. No clock
// has a say in it, nor what a table forgot with its file: who cannot find it refuses.
//
// Tables are files that the processes of the host share, one for each epoch that seals
// while somebody is there, as long as its tickets open:
//
//   FOLDER/NUMBER-IDHEX.early
//
// Where there can be no file a process keeps its own table in memory, and then takes only
// flights with tickets that it sealed itself.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/table.hpp"
#include "ring/ring.hpp"

namespace ticket::replay {

enum class FlightVerdict {
  fresh,    // taken now, and never before: the only answer that lets early data in
  replay,   // taken before
  foreign,  // its ticket names no table that is here
  unknown,  // its table has no room left
};

// Threads: table_of() and claim() any, without a lock; tend() one at a time.
class Flights {
 public:
  struct Options {
    std::filesystem::path folder;   // empty: this process alone, in memory
    std::size_t capacity = 100000;  // flights of an epoch; 12 bytes each
    // Levels as tkt_log_level.
    std::function<void(int level, const std::string& text)> log;
  };
  explicit Flights(Options options);
  ~Flights();
  Flights(const Flights&) = delete;
  Flights& operator=(const Flights&) = delete;

  const std::filesystem::path& folder() const { return options_.folder; }
  std::size_t capacity() const { return options_.capacity; }

  // Makes tables for epochs that seal or soon will, opens those of others, lets go of
  // what has ended. Says what it cannot do, and never throws.
  void tend(const ring::Ring& ring, Moment now) noexcept;

  // What tickets of an epoch are to carry; nullopt: no early data with them.
  std::optional<TableName> table_of(std::uint32_t epoch) const noexcept;

  // Records and answers in one step. `flight` is what no two flights have in common: the
  // ClientHello's random.
  FlightVerdict claim(std::uint32_t epoch, const TableName& table, BytesView flight) noexcept;

 private:
  struct Entry {
    ring::EpochId id{};
    std::uint32_t number = 0;
    std::shared_ptr<Table> table;  // nullptr: there is none
  };
  using Tables = std::vector<Entry>;

  bool wants_table(const ring::Ring& ring, const ring::Epoch& epoch, Moment now) const;
  bool stands(const Entry& entry) const;
  std::shared_ptr<Table> find(const ring::Epoch& epoch, bool make, Moment now);
  std::shared_ptr<Table> open_file(const TableEpoch& epoch, const std::filesystem::path& path,
                                   bool make, Moment now);
  void sweep(const ring::Ring& ring) const;
  void publish(std::unique_ptr<const Tables> tables);
  void say_once(const std::string& text);

  const Options options_;
  std::string said_;
  sys_seconds retry_;  // after a failure
  std::atomic<const Tables*> tables_{nullptr};
};

// Where the table of an epoch is kept.
std::filesystem::path flights_path(const std::filesystem::path& folder, std::uint32_t number,
                                   const EpochId& id);

}  // namespace ticket::replay
