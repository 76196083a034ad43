// What `ticketctl top` shows of one moment.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent_rates.hpp"
#include "terminal.hpp"

namespace ticketctl {

struct TopRow {
  std::string host;   // the agent's HOST:PORT
  std::string error;  // why nothing is known of it; then the rest is empty
  std::string pool;
  PoolCounts counts;
  PoolRates rates;
};

std::vector<std::string> top_lines(const std::vector<TopRow>& rows, const Terminal& terminal);
nlohmann::ordered_json top_json(const std::vector<TopRow>& rows);

}  // namespace ticketctl
