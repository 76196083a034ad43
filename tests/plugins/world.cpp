#include "plugins/world.hpp"

#include <fstream>
#include <stdexcept>

#include "support/listens.hpp"

namespace plugins {

namespace fs = std::filesystem;

World::World(const promises::Times& times, int hosts) : fleet(hosts, times) {}

fs::path World::web(const std::string& name) const { return fleet.folder() / "fleet/web" / name; }

void World::configure(const std::string& sections, int host) {
  std::ofstream(fleet.host(host) / "agent.toml", std::ios::app) << sections;
  fleet.send("agent" + std::to_string(host), SIGHUP);
}

Shake World::visit(std::uint16_t port, const Visit& visit) const {
  const auto file = [this](const std::string& name) {
    return name.empty() ? fs::path() : at(name + ".session");
  };
  support::Client client{.address = "127.0.0.1:" + std::to_string(port),
                         .version = visit.version,
                         .ca = fleet.folder() / "fleet/ca.pem",
                         .keep = file(visit.keep),
                         .offer = file(visit.offer)};
  if (visit.certificate) {
    client.more = {"-cert", fleet.folder() / "fleet/client.crt", "-key",
                   fleet.folder() / "fleet/client.key"};
  }
  if (!visit.ticket) client.more.push_back("-no_ticket");
  return support::connect(client);
}

support::Process World::openssl_server(const std::string& context, std::uint16_t& port) const {
  port = support::unused_port();
  support::Process server(
      {support::build_root() / "examples/ticket-example-server", "--listen",
       "127.0.0.1:" + std::to_string(port), "--ring", fleet.host(1) / "fleet.ring",
       "--session-id-context", "haproxy", "--host",
       "a.test=" + web("a.test.crt").string() + "," + web("a.test.key").string() + "," + context});
  if (!support::listens(port, server)) throw std::runtime_error("no server: " + server.output());
  return server;
}

void write_pem(const World& world, const fs::path& to) {
  support::write_text(to, support::read_text(world.web("a.test.crt")) +
                              support::read_text(world.web("a.test.key")));
}

}  // namespace plugins
