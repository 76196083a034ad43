// ticketctl status: members and epochs, once or again and again.
#include <unistd.h>

#include <iostream>
#include <thread>

#include "admin_client.hpp"
#include "status_text.hpp"

namespace ticketctl {

namespace {

std::string one_view(const CommandLine& line, const nlohmann::json& request) {
  const auto answer = ask(line, request);
  if (line.flag("json")) return "";
  std::string view;
  for (const auto& text : status_lines(read_status(answer), terminal())) view += text + "\n";
  return view;
}

// Until it is interrupted. A keyd that goes away is waited for.
[[noreturn]] void watch(const CommandLine& line, const nlohmann::json& request) {
  const bool screen = isatty(STDOUT_FILENO) == 1 && !line.flag("json");
  for (;;) {
    std::string view;
    try {
      view = one_view(line, request);
    } catch (const CommandError& error) {
      if (error.code != exit_unreachable) throw;
      view = std::string(error.what()) + "\n";
    }
    if (screen) std::cout << "\x1b[H\x1b[2J";
    std::cout << view << std::flush;
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

}  // namespace

int show_status(int argc, const char* const* argv) {
  CommandLine line("status [--pool POOL] [--watch] [--socket PATH] [--json]",
                   "Shows each pool's members, with what they have applied, and its epochs on a\n"
                   "time line: announced, sealing, opening.\n",
                   "ticketctl status --pool web --watch");
  line.add()("pool", "Only this pool", cxxopts::value<std::string>(), "POOL")(
      "watch", "Again every 2 seconds, until Ctrl-C");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  nlohmann::json request = {{"command", "status"}};
  if (line.has("pool")) request["pool"] = line.text("pool");
  if (line.flag("watch")) watch(line, request);
  std::cout << one_view(line, request);
  return exit_ok;
}

}  // namespace ticketctl
