// ticketctl issuer rotate: the next epoch of tokens issues at once, and those before go on
// being redeemed, or not.
#include <iostream>

#include "admin_client.hpp"
#include "answer_fields.hpp"
#include "issuer.hpp"

namespace ticketctl {

namespace {

void tell_burned(const std::string& pool, const nlohmann::json& answer) {
  std::cout << pool << ": " << number_of(answer, "burned")
            << " epochs are burned, their tokens open nothing any more; generation "
            << number_of(answer, "generation") << " goes to the members\n";
  if (const auto next = number_of(answer, "epoch"); next != 0) {
    std::cout << "  epoch " << next << " issues next, with new keys\n";
  } else {
    std::cout << "  the next epoch is made as soon as there is a key for it and the clock is "
                 "right: `ticketctl issuer status` tells\n";
  }
}

}  // namespace

int rotate_issuer(int argc, const char* const* argv) {
  CommandLine line("issuer rotate POOL [--burn] [--socket PATH] [--json]",
                   "Lets the next announced epoch of tokens issue at once, and the one before\n"
                   "issue no more. Tokens that clients have stay good until their redemption\n"
                   "ends. If keys may have leaked, --burn ends every epoch that there is,\n"
                   "announced ones too: their keys are erased, their tokens are refused by\n"
                   "each server as soon as it has the new generation, and a new epoch begins.\n",
                   "ticketctl issuer rotate web");
  line.add()("burn", "No token of before is good any more");
  add_admin_options(line);
  if (!line.parse(argc, argv, "pool")) return exit_ok;

  const auto pool = line.required("pool");
  const bool burn = line.flag("burn");
  nlohmann::json request = {{"command", "issuer-rotate"}, {"pool", pool}};
  if (burn) request["burn"] = true;
  const auto answer = ask(line, request);
  if (line.flag("json")) return exit_ok;
  if (burn) {
    tell_burned(pool, answer);
    return exit_ok;
  }
  std::cout << pool << ": epoch " << number_of(answer, "epoch")
            << " issues next; the tokens of those before stay good\n";
  return exit_ok;
}

}  // namespace ticketctl
