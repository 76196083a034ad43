// ticketctl member revoke, member readmit: who is no longer, and again, trusted.
#include <iostream>

#include "admin_client.hpp"
#include "answer.hpp"
#include "member.hpp"

namespace ticketctl {

int revoke_member(int argc, const char* const* argv) {
  CommandLine line(
      "member revoke NAME --pool POOL [--drop-tickets | --keep-tickets] [OPTIONS]",
      "Expels a server from a pool: it gets no more keys, and cannot enrol again.\n"
      "Every key that it was sent is burned: it opens nothing any more, at any\n"
      "server, and new ones go to the others only. All sessions of the pool begin\n"
      "anew with a full handshake. A server that is only retired, its disk wiped,\n"
      "can go with --keep-tickets: then sessions go on, under keys that it has seen.\n",
      "ticketctl member revoke web3 --pool web");
  line.add()("pool", "The pool", cxxopts::value<std::string>(), "POOL")(
      "drop-tickets", "Burn the keys that it was sent (so without either)")(
      "keep-tickets", "Burn nothing: its keys run out by themselves");
  add_admin_options(line);
  if (!line.parse(argc, argv, "NAME")) return exit_ok;

  const auto name = line.required("NAME"), pool = line.required("pool");
  if (line.flag("drop-tickets") && line.flag("keep-tickets")) {
    throw bad_input("--drop-tickets or --keep-tickets, not both");
  }
  const bool drop = !line.flag("keep-tickets");
  const auto answer =
      ask(line, {{"command", "expel"}, {"pool", pool}, {"member", name}, {"drop_tickets", drop}});
  if (line.flag("json")) return exit_ok;
  const auto expelled = read_expelled(answer);
  std::cout << pool << ": " << name << " (member " << expelled.number
            << ") is expelled, generation " << expelled.generation << " goes to the others\n";
  if (drop) {
    std::cout << "  " << expelled.burned
              << " keys are burned; a new one seals once the members have it (60 s at most)\n";
  } else {
    std::cout << "  nothing is burned: it holds keys that open until their end\n";
  }
  return exit_ok;
}

int readmit_member(int argc, const char* const* argv) {
  CommandLine line("member readmit NAME --pool POOL [--socket PATH] [--json]",
                   "Lets a server that was expelled enrol again, with another certificate than\n"
                   "the one that it was expelled with: `ticketctl member add` makes it.\n",
                   "ticketctl member readmit web3 --pool web");
  line.add()("pool", "The pool", cxxopts::value<std::string>(), "POOL");
  add_admin_options(line);
  if (!line.parse(argc, argv, "NAME")) return exit_ok;

  const auto name = line.required("NAME"), pool = line.required("pool");
  ask(line, {{"command", "readmit"}, {"pool", pool}, {"member", name}});
  if (line.flag("json")) return exit_ok;
  std::cout << pool << ": " << name << " may enrol again, with a new certificate\n";
  return exit_ok;
}

}  // namespace ticketctl
