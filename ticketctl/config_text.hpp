// The configuration files that ticketctl writes: every setting, explained.
#pragma once

#include <string>
#include <vector>

#include "endpoint.hpp"
#include "ring/policy.hpp"

namespace ticketctl {

// All texts must have been validated: they are put between quotes as they are.
std::string keyd_toml(const std::string& pool, const Endpoint& listen,
                      const ticket::ring::Policy& policy);

struct AgentText {
  std::string pool, member;
  std::string server;         // "HOST:PORT"
  std::string authority_key;  // 43 characters
  std::string ring;           // a path
};
std::string agent_toml(const AgentText& agent);

// A TOML basic string, quotes included.
std::string quoted(const std::string& text);

}  // namespace ticketctl
