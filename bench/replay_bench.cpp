// The replay table at ten million entries: claims that are fresh, looks that find a
// replay, two processes at once. All are throughput: no call waits for the answer before,
// so the processor has several lines on their way from memory at once.
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <stdexcept>

#include "replay/table.hpp"
#include "setting.hpp"

namespace bench {

namespace {

using namespace ticket;
using replay::Table;
using replay::Verdict;

constexpr std::size_t entries = 10'000'000;
const sys_seconds noon{seconds(1'800'000'000)};

Table table() { return Table::make({{}, noon}, {entries}, noon - seconds(60)); }

// Locations one after the other, as keyed hashes are: the 16 bytes that the table looks
// at of each.
class Locations {
 public:
  Locations() : bytes_(entries * 16) {
    unsigned char seed[randombytes_SEEDBYTES] = {1};
    randombytes_buf_deterministic(bytes_.data(), bytes_.size(), seed);
  }
  replay::Location operator[](std::size_t i) const {
    replay::Location location{};
    std::memcpy(location.data(), bytes_.data() + i * 16, 16);
    return location;
  }

 private:
  Bytes bytes_;
};

void claim_all(Table& table, const Locations& locations, std::size_t from, std::size_t to,
               Verdict expected) {
  std::size_t others = 0;
  for (auto i = from; i < to; ++i) others += table.claim(locations[i], {}) == expected ? 0 : 1;
  if (others != 0) throw std::runtime_error("the table answered otherwise than it should");
}

// The fill from empty to full.
double insert_ns(Table& table, const Locations& locations) {
  const auto began = thread_time();
  claim_all(table, locations, 0, entries, Verdict::fresh);
  return (thread_time() - began) / entries;
}

double hit_ns(const Table& table, const Locations& locations) {
  std::size_t held = 0;
  const auto began = thread_time();
  for (std::size_t i = 0; i < entries; ++i) held += table.holds(locations[i]) ? 1 : 0;
  const auto took = thread_time() - began;
  if (held != entries) throw std::runtime_error("the table lost an entry");
  return took / entries;
}

// Two processes fill it, each with one half: wall time over all claims.
double two_processes_ns(const Locations& locations) {
  auto shared = table();
  const auto began = std::chrono::steady_clock::now();
  const pid_t other = fork();
  if (other < 0) throw std::runtime_error("fork failed");
  if (other == 0) {
    try {
      claim_all(shared, locations, 0, entries / 2, Verdict::fresh);
      _exit(0);
    } catch (...) {
      _exit(1);
    }
  }
  claim_all(shared, locations, entries / 2, entries, Verdict::fresh);
  int status = 0;
  waitpid(other, &status, 0);
  if (status != 0) throw std::runtime_error("the other process's claims failed");
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
  return took.count() / entries;
}

}  // namespace

void measure_replay(Figures& figures) {
  const Locations locations;
  std::vector<double> insert, hit, two;
  for (int i = 0; i < 5; ++i) {
    auto one = table();
    insert.push_back(insert_ns(one, locations));
    hit.push_back(hit_ns(one, locations));
    figures["replay_bytes_per_entry"] = static_cast<double>(one.bytes()) / entries;
    two.push_back(two_processes_ns(locations));
  }
  note(figures, "replay_insert_ns", insert);
  note(figures, "replay_hit_ns", hit);
  note(figures, "replay_two_processes_ns", two);
}

}  // namespace bench
