// ticketctl token: get, inspect, redeem.
#include "token.hpp"

#include <algorithm>
#include <iostream>

#include "command.hpp"
#include "text.hpp"

namespace ticketctl {

void add_http_options(CommandLine& line) {
  line.add()("ca", "Verify servers' certificates with these CAs, PEM (default: the system's)",
             cxxopts::value<std::string>(), "FILE")(
      "connect-to",
      "HOST1:PORT1:HOST2:PORT2: for HOST1:PORT1, dial HOST2:PORT2, as curl does; again for more",
      cxxopts::value<std::vector<std::string>>(), "WHERE");
}

HttpOptions http_options(const CommandLine& line) {
  HttpOptions options;
  if (line.has("ca")) options.ca = line.text("ca");
  if (line.has("connect-to")) {
    options.connect_to = line.given["connect-to"].as<std::vector<std::string>>();
  }
  for (const auto& where : options.connect_to) {
    if (std::ranges::count(where, ':') < 3) {
      throw bad_input("--connect-to takes HOST1:PORT1:HOST2:PORT2, not " + printable(where));
    }
  }
  return options;
}

int run_token(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "get") return get_tokens(argc - 1, argv + 1);
  if (verb == "inspect") return inspect_token(argc - 1, argv + 1);
  if (verb == "redeem") return redeem_token(argc - 1, argv + 1);
  const std::string help =
      "Usage:\n"
      "  ticketctl token get --url URL              Get a token for what asks for one\n"
      "  ticketctl token inspect TOKEN|-            Tell what is in a token\n"
      "  ticketctl token redeem --url URL TOKEN|-   Present a token, once\n"
      "\n`--help` behind each tells its options.\n"
      "\nExample:\n  ticketctl token get --url https://www.example.org/ | curl -H @- "
      "https://www.example.org/\n";
  if (verb == "--help" || verb == "-h") {
    std::cout << help;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: token " << verb << "\n\n";
  std::cerr << help;
  return exit_usage;
}

}  // namespace ticketctl
