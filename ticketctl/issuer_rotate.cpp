// ticketctl issuer rotate: the next epoch of tokens issues at once.
#include <iostream>

#include "admin_client.hpp"
#include "answer_fields.hpp"
#include "issuer.hpp"

namespace ticketctl {

int rotate_issuer(int argc, const char* const* argv) {
  CommandLine line("issuer rotate POOL [--socket PATH] [--json]",
                   "Lets the next announced epoch of tokens issue at once, and the one before\n"
                   "issue no more. Tokens that clients have stay good until their redemption\n"
                   "ends.\n",
                   "ticketctl issuer rotate web");
  add_admin_options(line);
  if (!line.parse(argc, argv, "pool")) return exit_ok;

  const auto pool = line.required("pool");
  const auto answer = ask(line, {{"command", "issuer-rotate"}, {"pool", pool}});
  if (line.flag("json")) return exit_ok;
  std::cout << pool << ": epoch " << number_of(answer, "epoch")
            << " issues next; the tokens of those before stay good\n";
  return exit_ok;
}

}  // namespace ticketctl
