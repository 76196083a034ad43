// What the keeper tells the front of itself, for /metrics and the status page:
// what `ticketctl status` shows too. Public data; the front could order nothing
// with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keyd {

// Times are Unix seconds, 0 = never.
struct EpochReport {
  std::uint32_t number = 0;
  std::string state;  // announced, sealing, opening, wiped, burned
  std::int64_t made = 0, seals_from = 0, seals_until = 0, opens_until = 0;
  bool operator==(const EpochReport&) const = default;
};

struct MemberReport {
  std::uint16_t number = 0;
  std::string name;
  std::uint64_t applied = 0;   // generation; 0 = none that we know of
  std::int64_t last_seen = 0;  // since keyd was started
  std::string address;
  bool operator==(const MemberReport&) const = default;
};

// Something that an operator should look at.
struct AlarmReport {
  std::string kind;  // one of alarm_kinds
  std::string text;
  bool operator==(const AlarmReport&) const = default;
};
constexpr const char* alarm_kinds[] = {"audit",     "clock",   "issuing",
                                       "overtaken", "stopped", "store"};

// Of a pool that issues tokens.
struct IssuerReport {
  std::uint64_t announced = 0, issuing = 0, redeeming = 0, ended = 0;  // token epochs
  std::uint64_t issued_blind_rsa = 0, issued_ristretto = 0;  // tokens, since keyd was started
  std::uint64_t records_lost = 0;
  bool operator==(const IssuerReport&) const = default;
};

struct PoolReport {
  std::string name;
  std::uint64_t generation = 0;
  std::int64_t issued_at = 0, not_after = 0;
  std::vector<EpochReport> epochs;
  std::uint64_t enrolled = 0, seen = 0, current = 0;  // members; those of the last minute
  std::uint64_t oldest_applied = 0;                   // of those seen; 0 = nobody was
  std::vector<MemberReport> members;                  // at most most_members, the behind first
  std::vector<AlarmReport> alarms;
  std::vector<IssuerReport> issuer;  // none or one
  bool operator==(const PoolReport&) const = default;

  static constexpr std::size_t most_members = 256;
};

struct Report {
  std::uint64_t store_failures = 0;  // since keyd was started
  std::int64_t clock_apart = 0;      // seconds, wall clock minus the time that rotation goes by
  std::vector<PoolReport> pools;
  bool operator==(const Report&) const = default;
};

}  // namespace keyd
