// What is fed to servers without our plugin, as those who watch see it. No I/O.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"

namespace keyd {

// One stats socket of one [[haproxy]].
struct HaproxySight {
  std::string pool, context, socket;
  bool current = false;           // it held the keys that it should when last looked at
  ticket::sys_seconds last_seen;  // when it last answered as it should; 0 = never
  std::uint64_t feeds = 0;        // times that keys were set
  std::uint64_t failures = 0;     // looks that failed
  std::string trouble;            // the last failure while it lasts
};

// The files of one [[keyfile]], or the one of a [[haproxy]].
struct KeyFileSight {
  std::string pool, context, file;  // the first file
  std::uint64_t writes = 0, failures = 0;
  ticket::sys_seconds last_write;  // 0 = never
  bool has_command = false;
  std::uint64_t commands = 0, commands_failed = 0;  // on_change, ended
  std::string trouble;                              // the last failure while it lasts
  std::string cost;  // what the pool's policy costs there; empty: nothing
};

struct FeedSight {
  std::vector<HaproxySight> haproxy;
  std::vector<KeyFileSight> files;
};

}  // namespace keyd
