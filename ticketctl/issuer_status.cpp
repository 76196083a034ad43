// ticketctl issuer status: the keys that tokens are issued with.
#include <iostream>

#include "admin_client.hpp"
#include "issuer.hpp"
#include "issuer_text.hpp"

namespace ticketctl {

int show_issuers(int argc, const char* const* argv) {
  CommandLine line("issuer status [POOL] [--socket PATH] [--json]",
                   "Shows the epochs of each pool's tokens with their keys, and on a time line\n"
                   "when they issue and how long they are redeemed.\n",
                   "ticketctl issuer status web");
  add_admin_options(line);
  if (!line.parse(argc, argv, "pool")) return exit_ok;

  nlohmann::json request = {{"command", "issuer-status"}};
  if (line.has("pool")) request["pool"] = line.text("pool");
  const auto answer = ask(line, request);
  if (line.flag("json")) return exit_ok;
  for (const auto& text : issuer_lines(read_issuers(answer), terminal())) {
    std::cout << text << "\n";
  }
  return exit_ok;
}

}  // namespace ticketctl
