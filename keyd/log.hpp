// keyd's log: stderr, one line an event, as text or as JSON (log_line.hpp), easy
// to grep and to hand to the journal.
#pragma once

#include <spdlog/common.h>

#include <string>

#include "base/clock.hpp"
#include "log_line.hpp"

namespace keyd {

// `role` stands in each line; `level` is error, warning, info or debug.
void start_log(const std::string& role, const std::string& level);
void set_log_level(const std::string& level);
void set_log_format(const std::string& format);  // text or json

// For those who know what their line is about. Plain spdlog calls do for others.
void log_event(spdlog::level::level_enum level, const LogFields& fields, const std::string& text);

// A peer that was turned away for fields.reason: the first few of an address
// prefix are logged, the others summed up once a minute (refusal_log.hpp).
void log_refused(ticket::sys_seconds now, const LogFields& fields, const std::string& text);
// Writes the sums that are due: call it every few seconds.
void log_refusal_sums(ticket::sys_seconds now);

}  // namespace keyd
