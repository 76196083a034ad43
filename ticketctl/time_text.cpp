#include "time_text.hpp"

#include <charconv>

#include "ring/policy.hpp"

namespace ticketctl {

using ticket::seconds;
using ticket::sys_seconds;

namespace {

// Takes `digits` decimal digits and then `end` (unless 0) from the front.
std::optional<int> take(std::string_view& text, std::size_t digits, char end) {
  if (text.size() < digits + (end == 0 ? 0 : 1)) return std::nullopt;
  int value = 0;
  const auto* last = text.data() + digits;
  const auto parsed = std::from_chars(text.data(), last, value);
  if (text[0] == '-' || parsed.ec != std::errc() || parsed.ptr != last) return std::nullopt;
  text.remove_prefix(digits);
  if (end == 0) return value;
  if (text[0] != end && !(end == 'T' && text[0] == ' ')) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

std::optional<sys_seconds> parse_date(std::string_view text) {
  using namespace std::chrono;
  const auto year_number = take(text, 4, '-'), month_number = take(text, 2, '-'),
             day_number = take(text, 2, 'T');
  if (!year_number || !month_number || !day_number) return std::nullopt;
  const auto hour = take(text, 2, ':');
  const auto minute = take(text, 2, 0);
  std::optional<int> second = 0;
  if (text.starts_with(':')) {
    text.remove_prefix(1);
    second = take(text, 2, 0);
  }
  if (!hour || !minute || !second || (!text.empty() && text != "Z")) return std::nullopt;
  const year_month_day date(year(*year_number), month(static_cast<unsigned>(*month_number)),
                            day(static_cast<unsigned>(*day_number)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
}

std::optional<sys_seconds> parse_unix(std::string_view digits) {
  std::int64_t value = 0;
  const auto* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value);
  constexpr std::int64_t last_second = 253'402'300'799;  // of the year 9999
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0 || value > last_second) {
    return std::nullopt;
  }
  return sys_seconds(seconds(value));
}

}  // namespace

std::optional<sys_seconds> parse_time(std::string_view text, sys_seconds now) {
  if (text == "now") return now;
  if (text.starts_with('@')) return parse_unix(text.substr(1));
  std::string_view span;
  if (text.ends_with(" ago")) span = text.substr(0, text.size() - 4);
  if (text.starts_with('-')) span = text.substr(1);
  if (span.empty()) return parse_date(text);
  const auto duration = ticket::ring::parse_duration(span);
  if (!duration || *duration > now.time_since_epoch()) return std::nullopt;
  return now - *duration;
}

}  // namespace ticketctl
