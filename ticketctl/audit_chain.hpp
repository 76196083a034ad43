// The audit log as docs/formats.md tells: JSON lines, each with its number and
// the hash of the line before.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

#include "crypto/digest.hpp"

namespace ticketctl {

// Follows the lines one after another.
class AuditChain {
 public:
  // Empty when the line continues the chain, else what is wrong with it.
  std::string add(const std::string& line);

  std::uint64_t count() const { return count_; }  // number of the last line
  const ticket::crypto::Sha256& last() const { return last_; }
  std::uint64_t first() const { return first_; }  // number of the first line; 0 = none yet

 private:
  std::uint64_t first_ = 0, count_ = 0;
  ticket::crypto::Sha256 last_{};
};

}  // namespace ticketctl
