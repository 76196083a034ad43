// Contexts across kinds of servers: one pool of nginx with the module, HAProxy that an
// agent feeds, and a server that embeds libticket.
#include <doctest/doctest.h>

#include <sstream>

#include "promises/fleet.hpp"
#include "support/tls_visit.hpp"

using namespace promises;
using support::Visit;
using support::visit;

namespace {

// One name of one server.
struct Door {
  std::string server, name;
  std::uint16_t port;
};

// DIR/endpoints has a line for each server: its name, address, kind and virtual hosts;
// HAProxy has a line, and a port, for each host.
std::vector<Door> doors_of(const Fleet& fleet) {
  std::vector<Door> doors;
  std::istringstream lines(support::read_text(fleet.folder() / "fleet/endpoints"));
  for (std::string server, address, kind, names; lines >> server >> address >> kind >> names;) {
    const auto port = std::stoi(address.substr(address.rfind(':') + 1));
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');) {
      doors.push_back({kind + " " + server, name, static_cast<std::uint16_t>(port)});
    }
  }
  return doors;
}

std::vector<std::string> other_kinds() {
  std::vector<std::string> kinds{"--haproxy", "2"};
  // sanitized builds have no modules
  if (std::filesystem::exists(support::build_root() / "plugins/nginx/ngx_http_ticket_module.so")) {
    kinds.insert(kinds.end(), {"--nginx", "1"});
  }
  return kinds;
}

}  // namespace

TEST_SUITE("contexts") {
  TEST_CASE("promise 6: between servers of every kind a session resumes under its name alone") {
    const Fleet fleet(1, {"1h", "2h", "1h", "2h"}, other_kinds());
    const auto doors = doors_of(fleet);
    const auto come = [&](const Door& door, Tls version, bool certificate,
                          const support::Session& offer) {
      Visit how{.port = door.port, .name = door.name, .version = version, .offer = offer};
      if (certificate) {
        how.certificate = fleet.folder() / "fleet/client.crt";
        how.key = fleet.folder() / "fleet/client.key";
      }
      return visit(how);
    };
    int offers = 0;
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      for (const bool certificate : {false, true}) {
        for (const auto& from : doors) {
          CAPTURE(to_text(version));
          CAPTURE(certificate);
          CAPTURE(from.server);
          CAPTURE(from.name);
          const bool let_in = certificate || from.name != "secure.test";
          const auto begun = come(from, version, certificate, {});
          REQUIRE(begun.ok == let_in);
          if (!let_in) continue;
          REQUIRE(begun.session);
          for (const auto& to : doors) {
            CAPTURE(to.server);
            CAPTURE(to.name);
            const auto again = come(to, version, certificate, begun.session);
            CHECK(again.reused == (to.name == from.name));
            CHECK(again.ok == (certificate || to.name != "secure.test"));
            ++offers;
          }
        }
      }
    }
    // and what operators would ask finds the same
    std::vector<std::string> argv = {support::build_root() / "ticketctl/ticketctl", "check",
                                     "--name", "a.test"};
    for (const auto& door : doors) {
      if (door.name == "a.test") argv.push_back("127.0.0.1:" + std::to_string(door.port));
    }
    const auto checked = support::run(argv);
    CHECK_MESSAGE(checked.code == 0, checked.output);
    const int servers = static_cast<int>(doors.size()) / 3;
    CHECK(servers >= 3);
    CHECK(offers == 2 * (2 + 3) * servers * 3 * servers);
  }
}
