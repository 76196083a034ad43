// The audit log as docs/formats.md tells: JSON lines, each with its number and
// the hash of the line before.
#pragma once

#include <cstdint>
#include <deque>
#include <istream>
#include <string>

#include "crypto/digest.hpp"

namespace ticketctl {

// Follows the lines one after another, through the parts of a rotated log.
class AuditChain {
 public:
  // The next lines are another file's. It may begin with lines that end the one
  // before: keyd was killed after it wrote them there, and does not look back.
  void next_file() { beginning_ = true; }
  // Empty when the line continues the chain, else what is wrong with it.
  std::string add(const std::string& line);

  std::uint64_t count() const { return count_; }  // number of the last line
  const ticket::crypto::Sha256& last() const { return last_; }
  std::uint64_t first() const { return first_; }  // number of the first line; 0 = none yet

 private:
  bool repeats(std::uint64_t number, const ticket::crypto::Sha256& hash) const;

  bool beginning_ = true;  // no new line of this file yet
  std::deque<ticket::crypto::Sha256> recent_;
  std::uint64_t first_ = 0, count_ = 0;
  ticket::crypto::Sha256 last_{};
};

}  // namespace ticketctl
