// The operator's hand: the table of commands is the documentation.
#include <array>
#include <exception>
#include <iostream>

#include "command.hpp"

namespace ticketctl {
namespace {

struct Command {
  std::string_view name;
  int (*run)(int argc, const char* const* argv);
  std::string_view summary;
};

constexpr auto commands = std::to_array<Command>({
    {"init", init_pool, "Make the folder that keyd serves a new pool from"},
    {"member", run_member, "Add, list, revoke or readmit the servers of a pool"},
    {"pool", run_pool, "What clients are told of a pool (pool manifest, pool dns)"},
    {"pools", list_pools, "List the pools of a running keyd"},
    {"status", show_status, "Show members, and each pool's epochs on a time line"},
    {"rotate", rotate_pool, "Let the next epoch seal now, ahead of its schedule"},
    {"revoke", revoke_tickets, "Drop the tickets that one server sealed in a window of time"},
    {"clock", run_clock, "Accept that keyd's clock was set (clock accept)"},
    {"audit", run_audit, "Look whether the audit log is whole (audit verify)"},
    {"issuer", run_issuer, "Show or rotate the keys of one-time tokens (issuer status)"},
    {"token", run_token, "Get, inspect and redeem one-time tokens (token get)"},
    {"inspect", inspect_ticket, "Tell which key sealed a ticket, and whether it would resume"},
    {"top", show_top, "Show what servers do with tickets, every second"},
    {"check", check_servers, "Try whether servers resume each other's sessions, and why not"},
});

void print_help(std::ostream& out) {
  out << "ticketctl creates pools of TLS servers that share session tickets, and\n"
         "looks after them.\n\nUsage: ticketctl COMMAND [OPTIONS]\n\n";
  for (const auto& command : commands) {
    out << "  " << command.name << std::string(9 - command.name.size(), ' ') << command.summary
        << "\n";
  }
  out << "\n`ticketctl COMMAND --help` tells a command's options, with an example.\n\n"
         "All but init, member add, token, inspect, top and check talk to keyd over its\n"
         "admin socket: --socket PATH, else $TICKETCTL_SOCKET, else what ./keyd.toml or\n"
         "/etc/keyd/keyd.toml says (`admin`), else /run/keyd/keyd.sock.\n\n"
         "Exit codes:\n"
         "  0  done\n"
         "  1  the answer is no: keyd refused, or it could not be done\n"
         "  2  usage or bad input; nothing was changed\n"
         "  3  keyd cannot be reached\n";
}

int run(int argc, const char* const* argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(std::cout);
    return exit_ok;
  }
  if (name == "--version") {
    std::cout << "ticketctl " TICKET_VERSION "\n";
    return exit_ok;
  }
  for (const auto& command : commands) {
    if (command.name == name) return command.run(argc - 1, argv + 1);
  }
  if (!name.empty()) std::cerr << "ticketctl: no such command: " << name << "\n\n";
  print_help(std::cerr);
  return exit_usage;
}

}  // namespace
}  // namespace ticketctl

int main(int argc, char** argv) {
  try {
    return ticketctl::run(argc, argv);
  } catch (const ticketctl::CommandError& error) {
    std::cerr << "ticketctl: " << error.what() << "\n";
    return error.code;
  } catch (const std::exception& error) {
    std::cerr << "ticketctl: " << error.what() << "\n";
    return ticketctl::exit_no;
  }
}
