// In an agent's place: a claims socket, and behind it one record for all who ask.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "ring/ring_file.hpp"
#include "wire/claim.hpp"

namespace samples {

// What hosts share: a location is one claim's.
class Record {
 public:
  ticket::wire::ClaimAnswer::Verdict claim(const ticket::wire::Claim& claim);
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<ticket::ByteArray<32>, ticket::ByteArray<16>> spent_;
};

class ClaimsServer {
 public:
  // Replaces what is at the path.
  ClaimsServer(std::filesystem::path path, Record& record);
  ~ClaimsServer();

  // How it misbehaves, from now on.
  enum class Mood {
    honest,
    silent,     // reads, and never answers
    unknowing,  // cannot tell
    fickle,     // records, and closes the connection without an answer
    garbled,    // answers what is no verdict
    confused,   // answers another claim's number
    reversed,   // gathers claims for 30 ms, and answers the last first
  };
  void be(Mood mood) { mood_ = mood; }
  int asked() const { return asked_; }
  int connections() const { return connections_; }

 private:
  struct Client {
    ticket::ring::Fd socket;
    ticket::Bytes in;
    std::vector<ticket::wire::ClaimAnswer> held;  // of the reversed
  };
  void run(std::stop_token stop);
  bool serve(Client& client);
  void flush(Client& client);

  std::filesystem::path path_;
  Record& record_;
  ticket::ring::Fd listener_;
  std::atomic<Mood> mood_{Mood::honest};
  std::atomic<int> asked_{0}, connections_{0};
  std::jthread thread_;
};

}  // namespace samples
