// Times as operators type them.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.hpp"

namespace ticketctl {

// "now"; "2h ago" or "-2h" (units s, m, h, d); "2026-11-21T08:00:00Z" or
// "2026-11-21 08:00" (UTC); "@1795000000" (Unix seconds). nullopt for anything else.
std::optional<ticket::sys_seconds> parse_time(std::string_view text, ticket::sys_seconds now);

constexpr const char* time_rule =
    "now, 2h ago (s, m, h, d), 2026-11-21T08:00:00Z, \"2026-11-21 08:00\" (UTC) or @UNIX_SECONDS";

}  // namespace ticketctl
