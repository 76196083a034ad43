// The fleet of tools/fleet in a test: real keyd, agents and servers, and
// `openssl s_client` as their client.
#pragma once

#include <ticket/ticket.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/s_client.hpp"

namespace promises {

using namespace std::chrono_literals;
using support::Shake;
using support::Tls;
using support::to_text;

// As tools/fleet takes them: "2s".
struct Times {
  std::string rotate_every, lifetime, publish_ahead, stretch;
};

class Fleet {
 public:
  // Returns when all servers share a key; throws when that does not come about. `more`:
  // of tools/fleet's options, for other kinds of servers.
  Fleet(int servers, const Times& times, const std::vector<std::string>& more = {});
  ~Fleet();

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path host(int number) const;
  std::string keyd_address() const;
  // With "--tokens" in `more`.
  std::string issuer_address() const;

  // keyd, agent1, server1, ...
  void kill(const std::string& process);
  void start(const std::string& process);
  void send(const std::string& process, int signal) const;
  std::string log(const std::string& process) const;

  // Where server `number` listens.
  std::string address(int number) const;

  // A connection to server `number`; `keep` and `offer` name sessions.
  Shake connect(int number, Tls version, const std::string& keep = "",
                const std::string& offer = "") const;

  // The ring of host `number` as a server's libticket sees it.
  tkt_ring_info ring(int number) const;

 private:
  std::filesystem::path session(const std::string& name) const;
  void tool(const std::vector<std::string>& arguments) const;

  support::TempFolder folder_;
  support::Process up_;
};

}  // namespace promises
