// When a connection's certificate is to be looked at again: what was trusted when
// the connection began may have ended since.
#pragma once

#include <chrono>

#include "base/clock.hpp"

namespace keyd {

// One connection's. One thread.
class CertificateLook {
 public:
  static constexpr std::chrono::seconds lasts{600};

  // Is one due? At first, after `lasts`, when the clock was set back behind the last
  // look, and when `rules_changed`. Then it counts as done.
  bool due(ticket::sys_seconds now, bool rules_changed) {
    if (!rules_changed && now >= last_ && now < last_ + lasts) return false;
    last_ = now;
    return true;
  }

 private:
  ticket::sys_seconds last_ = ticket::sys_seconds::min();
};

}  // namespace keyd
