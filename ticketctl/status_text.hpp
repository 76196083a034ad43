// The status of keyd's pools as people read it.
#pragma once

#include "answer.hpp"

namespace ticketctl {

// A heading, alarms, members and the time line of each pool.
std::vector<std::string> status_lines(const Status& status, const Terminal& terminal);

// The members of the pools as a table, its heading first.
std::vector<std::string> member_lines(const std::vector<PoolStatus>& pools,
                                      ticket::sys_seconds now);

}  // namespace ticketctl
