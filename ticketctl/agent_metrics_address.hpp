// Where the agent of this host tells its metrics.
#pragma once

#include <filesystem>
#include <vector>

#include "endpoint.hpp"

namespace ticketctl {

// `metrics` of [agent] in the first of these files that is there. Throws
// CommandError (usage) that says what was tried, and the way out.
Endpoint agent_metrics_address(const std::vector<std::filesystem::path>& files);

}  // namespace ticketctl
