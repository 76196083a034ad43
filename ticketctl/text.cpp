#include "text.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace ticketctl {

using ticket::seconds;
using ticket::sys_seconds;
using namespace std::chrono_literals;

std::string printable(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // 0xc2 0x80 to 0xc2 0x9f: the other control characters, in UTF-8
    const bool c1 =
        i > 0 && c >= 0x80 && c <= 0x9f && static_cast<unsigned char>(text[i - 1]) == 0xc2;
    if (c < ' ' || c == 0x7f || c1) text[i] = '?';
    if (c1) text[i - 1] = '?';
  }
  return text;
}

namespace {

std::tm local(sys_seconds time) {
  const std::time_t count = time.time_since_epoch().count();
  std::tm parts{};
  localtime_r(&count, &parts);
  return parts;
}

std::string formatted(const std::tm& parts, const char* format) {
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

}  // namespace

std::string short_time(sys_seconds time, sys_seconds now, Detail detail) {
  if (time == sys_seconds{}) return "never";
  const auto parts = local(time), today = local(now);
  auto clock = formatted(parts, detail == Detail::seconds ? "%H:%M:%S" : "%H:%M");
  if (parts.tm_year == today.tm_year && parts.tm_yday == today.tm_yday) return clock;
  if (std::chrono::abs(time - now) < 6 * 24h) return formatted(parts, "%a ") + clock;
  return formatted(parts, parts.tm_year == today.tm_year ? "%b %d" : "%Y-%m-%d");
}

std::string rough(seconds duration) {
  const struct {
    seconds length;
    const char* name;
  } units[] = {{24h, " d"}, {1h, " h"}, {1min, " min"}};
  for (const auto& unit : units) {
    if (duration >= unit.length) return std::to_string(duration / unit.length) + unit.name;
  }
  return std::to_string(std::max(duration, 0s).count()) + " s";
}

namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos &&
         std::ranges::count(text, '.') <= 1;
}

// Of UTF-8 as a terminal shows it, one column a character.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::vector<std::string> table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  std::vector<bool> right;  // a column of numbers
  for (std::size_t r = 0; r < rows.size(); ++r) {
    widths.resize(std::max(widths.size(), rows[r].size()));
    right.resize(widths.size(), true);
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      widths[c] = std::max(widths[c], columns(rows[r][c]));
      if (r > 0 && !is_number(rows[r][c])) right[c] = false;
    }
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - columns(row[c]), ' ');
      line += "  " + (right[c] ? padding + row[c] : row[c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t at = 0; at < text.size();) {
    // a word, with the blanks before it
    const auto start = text.find_first_not_of(' ', at);
    const auto end = std::min(text.find(' ', start), text.size());
    const auto word = text.substr(at, end - at);
    if (start != std::string::npos && columns(line) > indent && columns(line + word) > width) {
      lines.push_back(line);
      line = std::string(indent, ' ') + text.substr(start, end - start);
    } else {
      line += word;
    }
    at = end;
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace ticketctl
