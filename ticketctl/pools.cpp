// ticketctl pools: what keyd serves, a line each.
#include <iostream>

#include "admin_client.hpp"
#include "answer.hpp"
#include "text.hpp"

namespace ticketctl {

int list_pools(int argc, const char* const* argv) {
  CommandLine line("pools [--socket PATH] [--json]", "Lists the pools of a running keyd.\n",
                   "ticketctl pools --json | jq '.pools[].name'");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  const auto answer = ask(line, {{"command", "pools"}});
  if (line.flag("json")) return exit_ok;
  std::vector<std::vector<std::string>> rows = {
      {"pool", "generation", "members", "epochs", "sealing"}};
  for (const auto& pool : read_pools(answer)) {
    rows.push_back({pool.name, std::to_string(pool.generation), std::to_string(pool.members),
                    std::to_string(pool.epochs),
                    pool.sealing == 0 ? "none" : "epoch " + std::to_string(pool.sealing)});
  }
  for (const auto& text : table(rows)) std::cout << text << "\n";
  return exit_ok;
}

}  // namespace ticketctl
