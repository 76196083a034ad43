// ticketctl clock: what to believe after a clock was set.
#include <iostream>

#include "admin_client.hpp"
#include "text.hpp"

namespace ticketctl {

namespace {

constexpr const char* usage =
    "Usage:\n"
    "  ticketctl clock accept [--socket PATH] [--json]\n\n"
    "When the clock of keyd's machine is set by more than five minutes, keyd makes\n"
    "no new keys until somebody has looked: servers go on with those that they\n"
    "hold. Set the clock right first (`chronyc tracking`); once it is, either keyd\n"
    "goes on by itself, because the clock was only wrong for a while, or `ticketctl\n"
    "clock accept` tells it that the present time is the true one. The times of its\n"
    "keys move with it.\n\n"
    "Example:\n  ticketctl clock accept\n";

int accept_clock(int argc, const char* const* argv) {
  CommandLine line("clock accept [--socket PATH] [--json]",
                   "Tells keyd that its machine's clock is right as it is now. The times of its\n"
                   "keys move by as much as the clock was set, and rotation goes on.\n",
                   "ticketctl clock accept");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;
  const auto answer = ask(line, {{"command", "clock-accept"}});
  if (line.flag("json")) return exit_ok;
  const auto shift = answer.value("shift", nlohmann::json(0));
  const auto moved = ticket::seconds(shift.is_number_integer() ? shift.get<std::int64_t>() : 0);
  std::cout << "keyd's time moved by " << (moved.count() < 0 ? "-" : "")
            << rough(std::chrono::abs(moved)) << "; rotation goes on\n";
  return exit_ok;
}

}  // namespace

int run_clock(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "accept") return accept_clock(argc - 1, argv + 1);
  if (verb == "--help" || verb == "-h") {
    std::cout << usage;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: clock " << verb << "\n\n";
  std::cerr << usage;
  return exit_usage;
}

}  // namespace ticketctl
