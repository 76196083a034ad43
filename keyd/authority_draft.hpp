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
  Expulsions doubtful;  // while rotation holds
  bool changed = false;

  // What the front told of a pool's tokens and the draft takes account of.
  struct Heard {
    PoolIssuing::Numbers sentinels, lost;
    bool wants_keys = false;
  };
  std::map<std::string, Heard> heard;
  std::set<std::string> issuers_rotated;  // pools whose next token epoch is to issue, by order
  std::map<std::string, std::uint32_t> next_issuing;  // which one that is
  std::set<std::string> issuers_exposed;  // whose private keys somebody has that should not
  std::set<std::string> issuers_burned;   // whose tokens of before are void
  std::map<std::string, ticket::sys_seconds> next_tokens;  // of each pool's token schedule
  std::set<ticket::token::KeyId> used_keys;                // of the fresh ones
};

}  // namespace keyd
