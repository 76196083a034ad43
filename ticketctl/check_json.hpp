// The report of a pre-flight for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "pool_check.hpp"

namespace ticketctl {

nlohmann::ordered_json check_json(const CheckPlan& plan, const CheckReport& report);

}  // namespace ticketctl
