// Which refusals are worth a line: a peer that tries a thousand times a second
// must not fill a disk, nor hide what else is logged.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace keyd {

// The network of an address as logs name it, "192.0.2.7 port 4242" or
// "2001:db8::7": "192.0.2.0/24", "2001:db8::/64"; a text that is no address stays
// as it is.
std::string address_prefix(const std::string& address);

// Refusals by reason and address prefix. One thread.
class RefusalLog {
 public:
  static constexpr unsigned told_each = 5;  // lines a minute of one reason and prefix
  static constexpr std::size_t most_known = 1024;
  static constexpr auto elsewhere = "other networks";  // beyond them: all in one

  // Is this one to be told? If not it is counted for due().
  bool tell(const std::string& reason, const std::string& address, ticket::sys_seconds now);

  struct Sum {
    std::string reason, prefix;
    std::uint64_t count = 0;  // beside those told
  };
  // The sums of the minutes that are over. What was quiet is forgotten.
  std::vector<Sum> due(ticket::sys_seconds now);

 private:
  struct Minute {
    ticket::sys_seconds since;
    unsigned told = 0;
    std::uint64_t untold = 0;

    // Begins anew when it has yet to come: the clock was ahead, and was set right since.
    void keep_to(ticket::sys_seconds now);
  };
  using Key = std::pair<std::string, std::string>;  // reason, prefix
  std::map<Key, Minute> minutes_;
};

}  // namespace keyd
