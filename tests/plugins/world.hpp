// A fleet of one or more hosts, whose agents also feed servers that have no plugin, and
// such servers: real ones, of this test's own, on loopback.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "promises/fleet.hpp"
#include "support/process.hpp"

namespace plugins {

using namespace std::chrono_literals;
using support::Shake;
using support::Tls;

// How s_client comes: `keep` and `offer` name sessions of this test.
struct Visit {
  Tls version = Tls::v1_3;
  std::string keep, offer;
  bool certificate = false;  // has a client certificate
  bool ticket = true;        // asks for one; else TLS 1.2 has session ids
};

class World {
 public:
  explicit World(const promises::Times& times, int hosts = 1);

  promises::Fleet fleet;

  std::filesystem::path at(const std::string& name) const { return folder_ / name; }
  std::filesystem::path web(const std::string& name) const;  // certificates of the fleet

  // Appends sections to a host's agent.toml, and has its agent read it.
  void configure(const std::string& sections, int host = 1);
  Shake visit(std::uint16_t port, const Visit& visit) const;
  std::string agent_log() const { return fleet.log("agent1"); }

  // ticket-example-server with the first host's ring and HAProxy's session-id context.
  support::Process openssl_server(const std::string& context, std::uint16_t& port) const;

 private:
  support::TempFolder folder_;
};

// Certificate and key in one file, as HAProxy and hitch want it.
void write_pem(const World& world, const std::filesystem::path& to);

}  // namespace plugins
