// Promise 14 with real servers on the rings of real agents.
#include <doctest/doctest.h>

#include <optional>

#include "promises/fleet.hpp"
#include "support/early_flight.hpp"
#include "support/listens.hpp"

using promises::Fleet;
using promises::Tls;
using namespace std::chrono_literals;

namespace {

// ticket-example-server --early-data once, with the ring of a host.
class Server {
 public:
  Server(const Fleet& fleet, int host) : fleet_(fleet), host_(host) { start(); }
  void start() {
    const auto web = fleet_.folder() / "fleet/web";
    process_.emplace(std::vector<std::string>{
        support::build_root() / "examples/ticket-example-server", "--listen",
        "127.0.0.1:" + std::to_string(port), "--ring", fleet_.host(host_) / "fleet.ring",
        "--early-data", "once", "--host",
        "a.test=" + (web / "a.test.crt").string() + "," + (web / "a.test.key").string() + ",a"});
    const bool serves = support::listens(port, *process_);
    REQUIRE_MESSAGE(serves, process_->output());
  }
  void restart() {
    process_->kill();
    start();
  }
  support::Shake visit(const support::Client& client) const {
    auto how = client;
    how.address = "127.0.0.1:" + std::to_string(port);
    return support::connect(how);
  }
  // Requests that it answered before their client had finished its handshake.
  int executed_early() const {
    const auto seen = visit({.path = "/status"}).output;
    static const std::string label = "\"early_requests\": ";
    const auto at = seen.find(label);
    REQUIRE_MESSAGE(at != std::string::npos, seen);
    return std::stoi(seen.substr(at + label.size()));
  }

  const std::uint16_t port = support::unused_port();

 private:
  const Fleet& fleet_;
  int host_;
  std::optional<support::Process> process_;
};

const std::string request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_SUITE("early data") {
  TEST_CASE("promise 14: of all processes of all hosts one executes a flight, once") {
    const Fleet fleet(
        2, {.rotate_every = "1h", .lifetime = "2h", .publish_ahead = "1h", .stretch = "2h"});
    Server one(fleet, 1), two(fleet, 1), elsewhere(fleet, 2);
    const auto session = fleet.folder() / "early.session";
    REQUIRE(one.visit({.keep = session}).ok);
    const auto flight = support::early_flight(session, "a.test", request);
    REQUIRE(flight.has_value());

    for (auto* server : {&elsewhere, &two, &one, &two, &one, &elsewhere}) {
      CHECK(support::deliver(*flight, server->port));
    }
    CHECK(elsewhere.executed_early() == 0);
    CHECK(two.executed_early() == 1);
    CHECK(one.executed_early() == 0);
    for (auto* server : {&one, &two}) {
      server->restart();
      CHECK(support::deliver(*flight, server->port));
      CHECK(server->executed_early() == 0);
    }

    // an honest client is served early at home, and in 1-RTT elsewhere
    const auto file = fleet.folder() / "request";
    support::write_text(file, request);
    REQUIRE(one.visit({.keep = session}).ok);
    const auto away = elsewhere.visit({.offer = session, .more = {"-early_data", file}});
    CHECK_MESSAGE(away.ok, away.output);
    CHECK(away.reused);
    CHECK(away.output.find("early data: foreign") != std::string::npos);
    REQUIRE(one.visit({.keep = session}).ok);
    const auto home = two.visit({.offer = session, .more = {"-early_data", file}});
    CHECK_MESSAGE(home.output.find("early data: accepted") != std::string::npos, home.output);
    CHECK(two.executed_early() == 1);
  }
}
