// DNS servers for tests: NSD with a zone of ours, and one that lies.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "support/process.hpp"

namespace dns {

// NSD (Debian's package), authoritative for "test." on a port of 127.0.0.1, as the user
// that runs the test. `records`: lines of a zone file.
class Nsd {
 public:
  explicit Nsd(const std::string& records);
  // ADDRESS@PORT, as libunbound has it.
  std::string address() const { return "127.0.0.1@" + std::to_string(port_); }
  // Another zone; returns when it is answered from.
  void replace(const std::string& records);
  std::string output() const { return process_ ? process_->output() : ""; }

 private:
  void write_zone(const std::string& records);
  void start();
  bool answers() const;

  support::TempFolder folder_;
  std::uint16_t port_;
  int serial_ = 0;
  std::optional<support::Process> process_;
};

enum class Lie {
  silence,
  servfail,
  refused,
  nxdomain,
  empty,       // no error, no record
  garbage,     // bytes that are no message
  cut,         // a message that ends in the middle of a record
  other_id,    // an answer to another question
  alias_loop,  // CNAME to itself
  truncated,   // "ask by TCP", where nobody listens
  many,        // 40 TXT records that contradict each other
  malformed,   // one that is of no pool
  huge_ttl,    // one that is, for 136 years
};

// Answers every question by UDP with the same lie.
class Liar {
 public:
  explicit Liar(Lie lie);
  ~Liar();
  Liar(const Liar&) = delete;
  std::string address() const { return "127.0.0.1@" + std::to_string(port_); }
  int questions() const { return questions_; }

 private:
  void run();

  const Lie lie_;
  int socket_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> questions_{0};
  std::thread thread_;
};

}  // namespace dns
