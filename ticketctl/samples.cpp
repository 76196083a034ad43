#include "samples.hpp"

#include <cstdlib>

#include "text.hpp"

namespace ticketctl {

std::string Sample::label(const std::string& wanted) const {
  const auto found = labels.find(wanted);
  return found == labels.end() ? "" : found->second;
}

namespace {

bool take(std::string_view& rest, char what) {
  if (rest.empty() || rest[0] != what) return false;
  rest.remove_prefix(1);
  return true;
}

void skip_blanks(std::string_view& rest) {
  while (take(rest, ' ') || take(rest, '\t')) {
  }
}

// Empty when none is at the front.
std::string take_name(std::string_view& rest) {
  std::size_t size = 0;
  for (; size < rest.size(); ++size) {
    const char c = rest[size];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    if (!letter && (size == 0 || c < '0' || c > '9')) break;
  }
  std::string name(rest.substr(0, size));
  rest.remove_prefix(size);
  return name;
}

bool take_quoted(std::string_view& rest, std::string& value) {
  if (!take(rest, '"')) return false;
  while (!rest.empty()) {
    if (take(rest, '"')) return true;
    const bool escaped = take(rest, '\\');
    if (rest.empty()) return false;
    value += escaped && rest[0] == 'n' ? '\n' : rest[0];
    rest.remove_prefix(1);
  }
  return false;
}

bool take_labels(std::string_view& rest, Sample& sample) {
  if (!take(rest, '{')) return true;
  while (!take(rest, '}')) {
    const auto name = take_name(rest);
    std::string value;
    if (name.empty() || !take(rest, '=') || !take_quoted(rest, value)) return false;
    sample.labels[name] = value;
    // a comma may also stand before the brace
    if (!take(rest, ',') && !rest.starts_with('}')) return false;
  }
  return true;
}

// The value, and perhaps the time of the sample after it.
bool take_value(std::string_view& rest, Sample& sample) {
  const std::string text(rest.substr(0, rest.find(' ')));
  char* end = nullptr;
  sample.value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

bool take_sample(std::string_view line, Sample& sample) {
  sample.name = take_name(line);
  skip_blanks(line);
  if (sample.name.empty() || !take_labels(line, sample)) return false;
  skip_blanks(line);
  return take_value(line, sample);
}

}  // namespace

tl::expected<std::vector<Sample>, std::string> parse_samples(std::string_view text) {
  std::vector<Sample> samples;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    skip_blanks(line);
    if (line.empty() || line[0] == '#') continue;
    Sample sample;
    if (!take_sample(line, sample)) {
      return tl::unexpected("no sample: " + printable(std::string(line.substr(0, 60))));
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace ticketctl
