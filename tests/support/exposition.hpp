// A strict reader of Prometheus' exposition format 0.0.4, written from its
// description: whatever it takes, Prometheus takes.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace support {

struct Family {
  std::string type;
  std::map<std::string, double> samples;  // by their labels as written, "{pool=\"web\"}" or ""
};

// Throws std::runtime_error naming the line: a name or label that is none, a
// family without HELP and TYPE, twice, or interrupted by another, a counter that
// does not end in _total, a sample twice, a value that is no number.
std::map<std::string, Family> read_exposition(const std::string& text);

}  // namespace support
