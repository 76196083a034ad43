#include "exposition.hpp"

#include <cstdlib>
#include <sstream>

namespace support {

namespace {

[[noreturn]] void fail(const std::string& line, const char* why) {
  throw std::runtime_error(std::string(why) + ": " + line);
}

bool starts_name(char c, bool colon) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
}

// The longest name at the front, [a-zA-Z_:][a-zA-Z0-9_:]*; labels have no colon.
std::string take_name(std::string_view& rest, bool colon) {
  std::size_t size = 0;
  while (size < rest.size() &&
         (starts_name(rest[size], colon) || (size > 0 && rest[size] >= '0' && rest[size] <= '9'))) {
    ++size;
  }
  const std::string name(rest.substr(0, size));
  rest.remove_prefix(size);
  return name;
}

bool take(std::string_view& rest, std::string_view what) {
  if (!rest.starts_with(what)) return false;
  rest.remove_prefix(what.size());
  return true;
}

void take_label(std::string_view& rest, const std::string& line) {
  if (take_name(rest, false).empty()) fail(line, "no label name");
  if (!take(rest, "=\"")) fail(line, "no value of a label");
  while (!rest.empty() && rest[0] != '"') {
    if (rest[0] == '\\') {
      if (rest.size() < 2 || (rest[1] != '\\' && rest[1] != '"' && rest[1] != 'n')) {
        fail(line, "an escape that is none");
      }
      rest.remove_prefix(1);
    }
    rest.remove_prefix(1);
  }
  if (!take(rest, "\"")) fail(line, "a value of a label that does not end");
}

std::string take_labels(std::string_view& rest, const std::string& line) {
  const auto before = rest;
  if (!take(rest, "{")) return {};
  do take_label(rest, line);
  while (take(rest, ","));
  if (!take(rest, "}")) fail(line, "labels that do not end");
  return std::string(before.substr(0, before.size() - rest.size()));
}

double take_number(std::string_view rest, const std::string& line) {
  const std::string text(rest);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || text[0] == ' ' || *end != '\0') fail(line, "no number");
  return value;
}

}  // namespace

std::map<std::string, Family> read_exposition(const std::string& text) {
  if (text.empty() || text.back() != '\n') fail("", "the last line does not end");
  std::map<std::string, Family> families;
  std::string helped, current, line;
  for (std::istringstream lines(text); std::getline(lines, line);) {
    std::string_view rest = line;
    if (take(rest, "# HELP ")) {
      helped = take_name(rest, true);
      if (helped.empty() || !take(rest, " ") || rest.empty()) fail(line, "no help");
      if (families.contains(helped)) fail(line, "a family that was there already");
      continue;
    }
    if (take(rest, "# TYPE ")) {
      current = take_name(rest, true);
      if (current != helped) fail(line, "a type without its help");
      if (!take(rest, " ") || (rest != "counter" && rest != "gauge")) fail(line, "no such type");
      if ((rest == "counter") != current.ends_with("_total")) fail(line, "_total is for counters");
      families[current].type = rest;
      continue;
    }
    const auto name = take_name(rest, true);
    if (name.empty() || name != current) fail(line, "a sample outside its family");
    const auto labels = take_labels(rest, line);
    if (!take(rest, " ")) fail(line, "no space before the value");
    if (!families[name].samples.emplace(labels, take_number(rest, line)).second) {
      fail(line, "a sample twice");
    }
  }
  return families;
}

}  // namespace support
