// keyd's log: stderr, one line an event, "2026-01-31T12:00:00.123Z front warning
// TEXT", easy to grep and to hand to the journal.
#pragma once

#include <string>

namespace keyd {

// `role` stands in each line; `level` is error, warning, info or debug.
void start_log(const std::string& role, const std::string& level);
void set_log_level(const std::string& level);

}  // namespace keyd
