// ticketctl revoke: one member's tickets of a window of time.
#include <iostream>

#include "admin_client.hpp"
#include "answer.hpp"
#include "text.hpp"
#include "time_text.hpp"

namespace ticketctl {

namespace {

ticket::sys_seconds time_option(const CommandLine& line, const char* name,
                                ticket::sys_seconds now) {
  const auto text = line.required(name);
  const auto time = parse_time(text, now);
  if (!time) {
    throw bad_input("--" + std::string(name) + " " + printable(text) + ": no time; allowed are " +
                    time_rule);
  }
  return *time;
}

}  // namespace

int revoke_tickets(int argc, const char* const* argv) {
  CommandLine line(
      "revoke --pool POOL --member NAME --from TIME --until TIME [OPTIONS]",
      "Drops the tickets that one server sealed in a window of time, at all servers:\n"
      "their sessions begin anew with a full handshake. The server stays a member.\n"
      "This guards against mistakes; against a server that somebody else controls,\n"
      "`ticketctl member revoke` burns the keys.\n"
      "TIME is now, \"2h ago\" (s, m, h, d), 2026-11-21T08:00:00Z (UTC) or @UNIX_SECONDS.\n",
      "ticketctl revoke --pool web --member web3 --from '2h ago' --until now");
  using cxxopts::value;
  line.add()("pool", "The pool", value<std::string>(), "POOL")("member", "Who sealed them",
                                                               value<std::string>(), "NAME")(
      "from", "Sealed at this time or later", value<std::string>(), "TIME")(
      "until", "Sealed at this time or earlier", value<std::string>(), "TIME");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  const auto pool = line.required("pool"), member = line.required("member");
  const auto now = ticket::SystemClock().now().latest;
  const auto from = time_option(line, "from", now), until = time_option(line, "until", now);
  if (from > until) throw bad_input("--from is later than --until");
  const auto answer = ask(line, {{"command", "revoke"},
                                 {"pool", pool},
                                 {"member", member},
                                 {"from", from.time_since_epoch().count()},
                                 {"until", until.time_since_epoch().count()}});
  if (line.flag("json")) return exit_ok;
  std::cout << pool << ": what " << member << " sealed from "
            << short_time(from, now, Detail::seconds) << " to "
            << short_time(until, now, Detail::seconds) << " is revoked, generation "
            << read_rotated(answer).generation << "\n";
  return exit_ok;
}

}  // namespace ticketctl
