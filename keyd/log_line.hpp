// A line of the log as text or as JSON. Pure: no spdlog, no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace keyd {

enum class LogFormat { text, json };

// What a line is about, where the call site knows it; empty or 0 = it does not.
// In JSON each is a field of its own; in text the message has them already.
struct LogFields {
  std::string pool = {}, member = {}, address = {}, reason = {};
  std::uint64_t generation = 0;
};

struct LogLine {
  std::chrono::system_clock::time_point time;
  std::string_view level, process, message;
};

// "2026-01-31T12:00:00.123Z front warning TEXT" without its newline. What could
// end the line or steer a terminal is escaped, whoever said it: see escaped().
std::string text_line(const LogLine& line);

// One object in plain ASCII: time, level, process, message, and the fields that
// are known.
std::string json_line(const LogLine& line, const LogFields& fields);

// Control characters (C0, DEL, C1), marks that turn the direction of writing and
// bytes that are no UTF-8 as \n, \x1b or \u{202e}. Other text as it is.
std::string escaped(std::string_view text);

}  // namespace keyd
