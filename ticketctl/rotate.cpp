// ticketctl rotate: the next epoch seals at once.
#include <iostream>

#include "admin_client.hpp"
#include "answer.hpp"

namespace ticketctl {

int rotate_pool(int argc, const char* const* argv) {
  CommandLine line("rotate --now --pool POOL [--socket PATH] [--json]",
                   "Lets the next announced epoch, which all members hold already, seal at once;\n"
                   "the later ones move up. Tickets stay good: the old epoch goes on opening.\n",
                   "ticketctl rotate --now --pool web");
  line.add()("now", "Yes, now")("pool", "The pool", cxxopts::value<std::string>(), "POOL");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  const auto pool = line.required("pool");
  if (!line.flag("now")) {
    throw bad_input("keyd rotates on its own schedule; to do it at once, say --now");
  }
  const auto answer = ask(line, {{"command", "rotate"}, {"pool", pool}});
  if (line.flag("json")) return exit_ok;
  const auto rotated = read_rotated(answer);
  std::cout << pool << ": generation " << rotated.generation << ", ";
  if (rotated.sealing == 0) {
    std::cout << "no epoch seals yet: the new one does once the members have it (60 s at most)\n";
  } else {
    std::cout << "epoch " << rotated.sealing << " seals now\n";
  }
  return exit_ok;
}

}  // namespace ticketctl
