// ticketctl member list: who is in the pools, as keyd knows them.
#include <iostream>

#include "admin_client.hpp"
#include "member.hpp"
#include "status_text.hpp"

namespace ticketctl {

int list_members(int argc, const char* const* argv) {
  CommandLine line("member list [--pool POOL] [--socket PATH] [--json]",
                   "Lists the members that have enrolled with a running keyd. (Who was only added\n"
                   "with `member add` is not there until its agent has run.)\n",
                   "ticketctl member list --pool web");
  line.add()("pool", "Only this pool", cxxopts::value<std::string>(), "POOL");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  nlohmann::json request = {{"command", "status"}};
  if (line.has("pool")) request["pool"] = line.text("pool");
  const auto answer = ask(line, request);
  if (line.flag("json")) return exit_ok;
  const auto status = read_status(answer);
  for (const auto& text : member_lines(status.pools, status.now)) std::cout << text << "\n";
  return exit_ok;
}

}  // namespace ticketctl
