// The report of a pre-flight, as people read it.
#pragma once

#include <string>
#include <vector>

#include "pool_check.hpp"
#include "terminal.hpp"

namespace ticketctl {

// The servers, a matrix for each version and name, what stands behind every cell that
// is not "resumes", whether names are kept apart, and the result.
std::vector<std::string> check_lines(const CheckPlan& plan, const CheckReport& report,
                                     const Terminal& terminal);

}  // namespace ticketctl
