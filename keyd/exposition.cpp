#include "exposition.hpp"

#include <fmt/format.h>

namespace keyd {

namespace {

std::string escaped_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void Exposition::head(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n");  // help is ours
  text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void Exposition::add(double value, const Labels& labels) {
  sample(fmt::format("{}", value), labels);
}

void Exposition::sample(const std::string& value, const Labels& labels) {
  text_ += name_;
  char before = '{';
  for (const auto& [label, content] : labels) {
    text_.append(1, before).append(label).append("=\"").append(escaped_value(content)).append("\"");
    before = ',';
  }
  text_.append(labels.empty() ? "" : "}").append(" ").append(value).append("\n");
}

}  // namespace keyd
