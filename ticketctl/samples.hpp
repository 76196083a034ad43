// Prometheus' text format 0.0.4, as much as agents write of it: samples by name and
// labels.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace ticketctl {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;

  // Empty when it has no such label.
  std::string label(const std::string& name) const;
};

// Comments and types are passed over. The error names the line that is no sample.
tl::expected<std::vector<Sample>, std::string> parse_samples(std::string_view text);

}  // namespace ticketctl
