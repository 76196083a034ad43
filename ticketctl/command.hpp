// What the commands share: exit codes, errors, and options read by cxxopts.
#pragma once

// a name may hold a comma
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <cxxopts.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ticketctl {

enum ExitCode : int {
  exit_ok = 0,
  exit_no = 1,           // keyd refused, or it could not be done
  exit_usage = 2,        // usage or bad input; nothing was changed
  exit_unreachable = 3,  // keyd cannot be reached, or does not answer as it should
};

// Ends a command: what is wrong, where, and the way out.
struct CommandError : std::runtime_error {
  CommandError(ExitCode code, const std::string& what) : std::runtime_error(what), code(code) {}
  ExitCode code;
};

CommandError bad_input(const std::string& what);

// A command's options, with --help, which ends in `example`.
struct CommandLine {
  CommandLine(const std::string& usage, const std::string& summary, const std::string& example);

  // Adds to the options that --help lists.
  cxxopts::OptionAdder add() { return options.add_options(); }

  // Throws CommandError for unknown options, and for more arguments beside them
  // than `positional` names. Prints the help and gives false when it was asked
  // for.
  bool parse(int argc, const char* const* argv, const std::string& positional = "");

  // As parse, for a command that takes any number of `positional`.
  bool parse_list(int argc, const char* const* argv, const std::string& positional);

  // All that were given, in their order.
  std::vector<std::string> texts(const std::string& name) const;

  // Of an option with a value.
  bool has(const std::string& name) const { return given.count(name) > 0; }
  // Of a switch; --NAME=false turns it off.
  bool flag(const std::string& name) const { return has(name) && given[name].as<bool>(); }
  // The last one given, or its default.
  std::string text(const std::string& name) const { return given[name].as<std::string>(); }
  // As text, and it must be there.
  std::string required(const std::string& name) const;

  std::string usage, example;
  std::string exit_codes = "0 done, 1 no, 2 usage or bad input, 3 keyd cannot be reached";
  cxxopts::Options options;
  cxxopts::ParseResult given;

 private:
  bool parse_whole(int argc, const char* const* argv);
};

// The commands, a file each; argv[0] is the command's name.
int init_pool(int argc, const char* const* argv);
int run_member(int argc, const char* const* argv);
int run_pool(int argc, const char* const* argv);
int list_pools(int argc, const char* const* argv);
int show_status(int argc, const char* const* argv);
int rotate_pool(int argc, const char* const* argv);
int revoke_tickets(int argc, const char* const* argv);
int run_clock(int argc, const char* const* argv);
int run_audit(int argc, const char* const* argv);
int inspect_ticket(int argc, const char* const* argv);
int check_servers(int argc, const char* const* argv);
int show_top(int argc, const char* const* argv);
int run_issuer(int argc, const char* const* argv);
int run_token(int argc, const char* const* argv);

}  // namespace ticketctl
