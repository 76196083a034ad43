// What the authority is about to store, and whom to tell how that went.
#pragma once

#include <nlohmann/json.hpp>
#include <set>

#include "authority.hpp"

namespace keyd {

struct Authority::Draft {
  struct Done {
    Waiting order;
    nlohmann::json answer;  // beside "ok", when it is stored
  };

  KeeperState state;
  ticket::sys_seconds at;
  std::map<std::string, ticket::sys_seconds> next;      // of each pool's schedule
  std::set<std::string> rotated;                        // pools to rotate by order
  std::set<std::string> renewed;                        // pools that need a new generation
  std::set<std::string> generations;                    // pools that have a new one
  std::vector<std::pair<Enrol, std::string>> enrolled;  // with the member's name
  std::vector<Done> done;
  bool changed = false;
};

}  // namespace keyd
