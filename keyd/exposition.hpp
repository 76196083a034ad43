// Metrics as text: Prometheus' exposition format 0.0.4.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyd {

constexpr auto exposition_type = "text/plain; version=0.0.4; charset=utf-8";

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Written family by family: first its head, then its samples.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help) { head(name, "counter", help); }
  void gauge(std::string_view name, std::string_view help) { head(name, "gauge", help); }

  // One sample of the family begun last.
  template <std::integral Number>
  void add(Number value, const Labels& labels = {}) {
    sample(std::to_string(value), labels);
  }

  void add(double value, const Labels& labels = {});

  std::string take() { return std::move(text_); }

 private:
  void head(std::string_view name, std::string_view type, std::string_view help);
  void sample(const std::string& value, const Labels& labels);

  std::string name_, text_;
};

}  // namespace keyd
