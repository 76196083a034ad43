// ticketctl issuer: status, rotate.
#include "issuer.hpp"

#include <iostream>

#include "command.hpp"

namespace ticketctl {

int run_issuer(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "status") return show_issuers(argc - 1, argv + 1);
  if (verb == "rotate") return rotate_issuer(argc - 1, argv + 1);
  const std::string help =
      "Usage:\n"
      "  ticketctl issuer status [POOL]    Show the keys that tokens are issued with\n"
      "  ticketctl issuer rotate POOL      Let the next epoch of tokens issue now; --burn: and\n"
      "                                    void all tokens of before\n"
      "\n`--help` behind each tells its options.\n"
      "\nExample:\n  ticketctl issuer status\n";
  if (verb == "--help" || verb == "-h") {
    std::cout << help;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: issuer " << verb << "\n\n";
  std::cerr << help;
  return exit_usage;
}

}  // namespace ticketctl
