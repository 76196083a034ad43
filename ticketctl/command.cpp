#include "command.hpp"

#include <iostream>

namespace ticketctl {

CommandError bad_input(const std::string& what) { return {exit_usage, what}; }

namespace {

// cxxopts leaves them where it breaks a line.
std::string without_trailing_spaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') result.erase(result.find_last_not_of(' ') + 1);
    result += c;
  }
  return result;
}

}  // namespace

CommandLine::CommandLine(const std::string& usage_line, const std::string& summary,
                         const std::string& example_line)
    : usage(usage_line), example(example_line), options("ticketctl " + usage_line, summary) {
  options.custom_help("").positional_help("").set_width(80);
}

bool CommandLine::parse(int argc, const char* const* argv, const std::string& positional) {
  add()("h,help", "Show this");
  if (!positional.empty()) {
    options.add_options("arguments")(positional, "", cxxopts::value<std::string>());
    options.parse_positional({positional});
  }
  return parse_whole(argc, argv);
}

bool CommandLine::parse_list(int argc, const char* const* argv, const std::string& positional) {
  add()("h,help", "Show this");
  options.add_options("arguments")(positional, "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({positional});
  return parse_whole(argc, argv);
}

bool CommandLine::parse_whole(int argc, const char* const* argv) {
  try {
    given = options.parse(argc, argv);
  } catch (const cxxopts::exceptions::exception& error) {
    throw bad_input(std::string(error.what()) + "\nUsage: ticketctl " + usage);
  }
  if (has("help")) {
    std::cout << without_trailing_spaces(options.help({""})) << "\nExample:\n  " << example
              << "\n\nExit codes: " << exit_codes << ".\n";
    return false;
  }
  if (!given.unmatched().empty()) {
    throw bad_input("unexpected argument: " + given.unmatched().front() + "\nUsage: ticketctl " +
                    usage);
  }
  return true;
}

std::vector<std::string> CommandLine::texts(const std::string& name) const {
  std::vector<std::string> all;
  for (const auto& argument : given.arguments()) {
    if (argument.key() == name) all.push_back(argument.value());
  }
  return all;
}

std::string CommandLine::required(const std::string& name) const {
  if (!has(name)) {
    const bool is_option = usage.find("--" + name) != std::string::npos;
    throw bad_input((is_option ? "--" : "") + name + " is missing\nUsage: ticketctl " + usage);
  }
  return text(name);
}

}  // namespace ticketctl
