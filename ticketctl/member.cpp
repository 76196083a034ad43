// ticketctl member: add, list, revoke, readmit.
#include "member.hpp"

#include <iostream>

#include "command.hpp"

namespace ticketctl {

int run_member(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "add") return add_member(argc - 1, argv + 1);
  if (verb == "list") return list_members(argc - 1, argv + 1);
  if (verb == "revoke") return revoke_member(argc - 1, argv + 1);
  if (verb == "readmit") return readmit_member(argc - 1, argv + 1);
  const std::string help =
      "Usage:\n"
      "  ticketctl member add NAME --pool POOL --dir DIR    Issue a server's certificate\n"
      "  ticketctl member list [--pool POOL]                Who is in the pools\n"
      "  ticketctl member revoke NAME --pool POOL           Expel it, burn what it was sent\n"
      "  ticketctl member readmit NAME --pool POOL          Let it enrol again\n"
      "\n`--help` behind each tells its options.\n"
      "\nExample:\n  ticketctl member add web1 --pool web --dir /etc/keyd\n";
  if (verb == "--help" || verb == "-h") {
    std::cout << help;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: member " << verb << "\n\n";
  std::cerr << help;
  return exit_usage;
}

}  // namespace ticketctl
