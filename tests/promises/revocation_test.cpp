// Promise 16 with real servers, and the audit log of what was ordered.
#include <doctest/doctest.h>

#include <optional>
#include <thread>

#include "promises/fleet.hpp"

using promises::Fleet;
using promises::Times;
using promises::Tls;
using namespace std::chrono_literals;

namespace {

// Nothing rotates by itself while a test looks.
const Times slow = {.rotate_every = "1h", .lifetime = "2h", .publish_ahead = "1h", .stretch = "2h"};

support::Outcome ticketctl(const Fleet& fleet, std::vector<std::string> arguments,
                           bool with_socket = true) {
  arguments.insert(arguments.begin(), support::build_root() / "ticketctl/ticketctl");
  if (with_socket) {
    arguments.insert(arguments.end(), {"--socket", fleet.folder() / "fleet/authority/keyd.sock"});
  }
  return support::run(arguments);
}

bool resumes(const Fleet& fleet, int at, Tls version, const std::string& session) {
  const auto shake = fleet.connect(at, version, "", session);
  CHECK_MESSAGE(shake.ok, shake.output);
  return shake.reused;
}

// A session of each version from server `at`, named "NAME-TLS".
void begin(const Fleet& fleet, int at, const std::string& name) {
  for (const auto version : {Tls::v1_2, Tls::v1_3}) {
    const auto shake = fleet.connect(at, version, name + to_text(version));
    REQUIRE_MESSAGE(shake.ok, shake.output);
    REQUIRE(shake.key_name != "");
  }
}

// Both versions, at each of the servers: how many of them resume.
int resumed(const Fleet& fleet, std::vector<int> servers, const std::string& name) {
  int count = 0;
  for (const int at : servers) {
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      count += resumes(fleet, at, version, name + to_text(version)) ? 1 : 0;
    }
  }
  return count;
}

// The same a second after an order, which is when it has to have taken effect. Sanitized
// programs are too slow for the second.
int resumed_a_second_later(const Fleet& fleet, const std::vector<int>& servers,
                           const std::string& name) {
#ifdef TICKET_SANITIZED
  support::wait_until([&] { return resumed(fleet, servers, name) == 0; }, 10s);
#else
  std::this_thread::sleep_for(1s);
#endif
  return resumed(fleet, servers, name);
}

}  // namespace

TEST_SUITE("revocation") {
  TEST_CASE("promise 16: burned keys open nothing a second later, and the others go on") {
    std::optional<Fleet> latest;
    int late = 1;
    for (int i = 0; i < 3 && late > 0; ++i) {  // a machine may stand still, once
      const auto& fleet = latest.emplace(3, slow);
      begin(fleet, 1, "old");
      begin(fleet, 3, "bad");
      CHECK(resumed(fleet, {2}, "old") == 2);

      const auto done = ticketctl(fleet, {"member", "revoke", "host3", "--pool", "fleet"});
      REQUIRE_MESSAGE(done.code == 0, done.output);
      CHECK(done.output.find("burned") != std::string::npos);
      late = resumed_a_second_later(fleet, {1, 2}, "old");
    }
    CHECK(late == 0);
    const auto& fleet = *latest;
    CHECK(resumed(fleet, {1, 2}, "bad") == 0);

    // a new key seals as soon as both have it
    const auto fresh = [&] {
      return fleet.connect(1, Tls::v1_2, "probe").key_name != "" &&
             fleet.connect(2, Tls::v1_2, "probe").key_name != "";
    };
    REQUIRE(support::wait_until(fresh, 10s));
    begin(fleet, 1, "new");
    CHECK(resumed(fleet, {2}, "new") == 2);

    // what the expelled one still seals, nobody opens
    begin(fleet, 3, "worse");
    CHECK(resumed(fleet, {1, 2}, "worse") == 0);
    CHECK(support::wait_until(
        [&] { return fleet.log("agent3").find("member readmit host3") != std::string::npos; },
        70s));
  }

  TEST_CASE("promise 16: one member's tickets of a window are revoked, the others' are not") {
    const Fleet fleet(2, slow);
    begin(fleet, 2, "second");

    int late = 1;
    for (int i = 0; i < 3 && late > 0; ++i) {  // a machine may stand still, once
      begin(fleet, 1, "first");
      const auto done = ticketctl(fleet, {"revoke", "--pool", "fleet", "--member", "host1",
                                          "--from", "1h ago", "--until", "now"});
      REQUIRE_MESSAGE(done.code == 0, done.output);
      late = resumed_a_second_later(fleet, {1, 2}, "first");
    }
    CHECK(late == 0);
    CHECK(resumed(fleet, {1, 2}, "second") == 4);
    std::this_thread::sleep_for(2500ms);  // sealed behind the window, which has whole seconds
    begin(fleet, 1, "third");
    CHECK(resumed(fleet, {1, 2}, "third") == 4);
  }

  TEST_CASE("the audit log tells of it, and shows who was at it") {
    const Fleet fleet(1, slow);
    CHECK(ticketctl(fleet, {"rotate", "--now", "--pool", "fleet"}).code == 0);
    CHECK(
        ticketctl(fleet, {"member", "revoke", "host1", "--pool", "fleet", "--drop-tickets"}).code ==
        0);
    const auto whole = ticketctl(fleet, {"audit", "verify"});
    CHECK_MESSAGE(whole.code == 0, whole.output);
    CHECK(whole.output.find("all that keyd wrote") != std::string::npos);

    const auto path = fleet.folder() / "fleet/authority/state/audit.log";
    const auto text = support::read_text(path);
    CHECK(text.find("\"expelled\"") != std::string::npos);
    const auto verified_as = [&](const std::string& altered) {
      support::write_text(path, altered);
      return ticketctl(fleet, {"audit", "verify"});
    };
    const auto last = text.rfind('\n', text.size() - 2) + 1;
    const auto cut = verified_as(text.substr(0, last));
    CHECK(cut.code == 1);
    CHECK(cut.output.find("its end was taken away") != std::string::npos);

    auto forged = text;
    forged.replace(forged.find("host1"), 5, "host2");
    const auto altered = verified_as(forged);
    CHECK(altered.code == 1);
    CHECK_MESSAGE(altered.output.find("was altered") != std::string::npos, altered.output);
    CHECK(ticketctl(fleet, {"audit", "verify", path, "--offline"}, false).code == 1);
    CHECK(verified_as(text).code == 0);
  }
}
