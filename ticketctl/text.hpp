// How the commands write times and tables.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"

namespace ticketctl {

// Without what could steer a terminal: control characters become '?'.
std::string printable(std::string text);

// How much of a local time people need to see.
enum class Detail { minutes, seconds };

// "14:05" (or "14:05:09"), with the weekday when it is not the day of `now`,
// as a date when it is further than 6 days away; "never" for time 0.
std::string short_time(ticket::sys_seconds time, ticket::sys_seconds now, Detail detail);

// "5 s", "12 min", "3 h", "2 d": the largest unit that counts to one or more.
std::string rough(ticket::seconds duration);

// Lines with the columns aligned, two spaces between them, each indented by
// two; numbers (digits, perhaps a point) to the right. The first row is the heading.
std::vector<std::string> table(const std::vector<std::vector<std::string>>& rows);

// Words in lines of at most `width`, those after the first indented by `indent`.
std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t indent);

}  // namespace ticketctl
