// keyd's answers read into types. Each throws CommandError (unreachable) naming
// the field that is missing or of another kind.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "time_line.hpp"

namespace ticketctl {

struct MemberStatus {
  std::uint32_t number = 0;
  std::string name;
  ticket::sys_seconds enrolled_at, last_seen;
  std::uint64_t applied = 0;  // generation; 0 = none yet
  std::string address;
};

struct PoolStatus {
  std::string name;
  std::uint64_t generation = 0;
  ticket::sys_seconds issued_at;
  std::vector<DrawnEpoch> epochs;
  std::vector<MemberStatus> members;
  std::vector<std::string> alarms;
};

struct Status {
  std::string version;
  ticket::sys_seconds now;
  std::vector<PoolStatus> pools;
};
Status read_status(const nlohmann::json& answer);

struct PoolLine {
  std::string name;
  std::uint64_t generation = 0, members = 0, epochs = 0, sealing = 0;
};
std::vector<PoolLine> read_pools(const nlohmann::json& answer);

struct Rotated {
  std::uint64_t generation = 0, sealing = 0;
};
Rotated read_rotated(const nlohmann::json& answer);

struct ExpelledAnswer {
  std::uint64_t generation = 0, number = 0, burned = 0;
};
ExpelledAnswer read_expelled(const nlohmann::json& answer);

}  // namespace ticketctl
