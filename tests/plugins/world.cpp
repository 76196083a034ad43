#include "plugins/world.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <stdexcept>

namespace plugins {

namespace fs = std::filesystem;

namespace {

// The first 16 bytes of the ticket, as s_client's session file shows them.
std::string key_name_of(const fs::path& session) {
  if (!fs::exists(session)) return "";
  const auto text =
      support::run({"openssl", "sess_id", "-in", session.string(), "-noout", "-text"}).output;
  static const std::regex dump("TLS session ticket:\\s+0000 - ((?:[0-9a-f]{2}[ -]){16})");
  std::smatch match;
  return std::regex_search(text, match, dump) ? match[1].str() : "";
}

bool accepts(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return connected;
}

}  // namespace

World::World(const promises::Times& times) : fleet(1, times) {}

fs::path World::web(const std::string& name) const { return fleet.folder() / "fleet/web" / name; }

void World::configure(const std::string& sections) {
  std::ofstream(fleet.host(1) / "agent.toml", std::ios::app) << sections;
  fleet.send("agent1", SIGHUP);
}

Shake World::visit(std::uint16_t port, const Visit& visit) const {
  std::vector<std::string> argv = {
      "openssl",     "s_client",
      "-connect",    "127.0.0.1:" + std::to_string(port),
      "-servername", "a.test",
      "-CAfile",     fleet.folder() / "fleet/ca.pem",
      "-ign_eof",    visit.version == Tls::v1_2 ? "-tls1_2" : "-tls1_3"};
  const auto session = [this](const std::string& name) { return at(name + ".session").string(); };
  if (!visit.offer.empty()) argv.insert(argv.end(), {"-sess_in", session(visit.offer)});
  if (!visit.keep.empty()) {
    fs::remove(session(visit.keep));
    argv.insert(argv.end(), {"-sess_out", session(visit.keep)});
  }
  if (visit.certificate) {
    argv.insert(argv.end(), {"-cert", fleet.folder() / "fleet/client.crt", "-key",
                             fleet.folder() / "fleet/client.key"});
  }
  const auto client = support::run(
      argv, {.input = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"}, 10s);
  return {.ok = client.output.find("HTTP/1.1 200") != std::string::npos,
          .reused = client.output.find("Reused, TLSv1.") != std::string::npos,
          .key_name = visit.keep.empty() ? "" : key_name_of(session(visit.keep)),
          .output = client.output};
}

support::Process World::openssl_server(const std::string& context, std::uint16_t& port) const {
  port = support::unused_port();
  support::Process server(
      {support::build_root() / "examples/ticket-example-server", "--listen",
       "127.0.0.1:" + std::to_string(port), "--ring", fleet.host(1) / "fleet.ring",
       "--session-id-context", "haproxy", "--host",
       "a.test=" + web("a.test.crt").string() + "," + web("a.test.key").string() + "," + context});
  if (!listens(port, server)) throw std::runtime_error("no server: " + server.output());
  return server;
}

bool listens(std::uint16_t port, support::Process& process) {
  return support::wait_until([&] { return accepts(port) || !process.alive(); }, 15s) &&
         process.alive();
}

void write_pem(const World& world, const fs::path& to) {
  support::write_text(to, support::read_text(world.web("a.test.crt")) +
                              support::read_text(world.web("a.test.key")));
}

}  // namespace plugins
