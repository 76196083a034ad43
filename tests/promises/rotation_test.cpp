// Promises 1 and 2: what clients see through rotations, and while keyd is dead.
#include <doctest/doctest.h>

#include <set>

#include "promises/fleet.hpp"

using promises::Fleet;
using promises::Shake;
using promises::Tls;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

// A session from server `from`, offered at once to server `to`. Returns the key
// name of its ticket, empty when the server sent none.
std::string resumes_at_once(const Fleet& fleet, int from, int to, Tls version) {
  CAPTURE(std::string(promises::to_text(version)));
  const auto first = fleet.connect(from, version, "session");
  CHECK_MESSAGE(first.ok, first.output);
  if (first.key_name.empty()) return "";
  const auto second = fleet.connect(to, version, "", "session");
  CHECK_MESSAGE(second.ok, second.output);
  CHECK_MESSAGE(second.reused, second.output);
  return first.key_name;
}

}  // namespace

TEST_SUITE("rotation") {
  TEST_CASE("promise 1: no server sees a ticket that it cannot open, through six rotations") {
    const Fleet fleet(
        2, {.rotate_every = "2s", .lifetime = "20s", .publish_ahead = "6s", .stretch = "20s"});
    std::set<std::string> keys;
    const auto end = Clock::now() + 40s;

    while (keys.size() < 7 && Clock::now() < end) {
      for (const auto version : {Tls::v1_2, Tls::v1_3}) {
        keys.insert(resumes_at_once(fleet, 1, 2, version));
        keys.insert(resumes_at_once(fleet, 2, 1, version));
      }
    }

    CHECK(keys.size() >= 7);
    CHECK_FALSE(keys.contains(""));
  }

  TEST_CASE("promise 1: a member that hears nothing for two rotations still opens all") {
    Fleet fleet(2,
                {.rotate_every = "2s", .lifetime = "20s", .publish_ahead = "8s", .stretch = "20s"});
    std::set<std::string> keys;

    fleet.send("agent2", SIGSTOP);
    const auto began = Clock::now();
    const auto goes_on = [&] {  // 7 s: it holds epochs for 8
      return Clock::now() < began + 5s || (keys.size() < 3 && Clock::now() < began + 7s);
    };
    while (goes_on())
      for (const auto version : {Tls::v1_2, Tls::v1_3})
        keys.insert(resumes_at_once(fleet, 1, 2, version));
    fleet.send("agent2", SIGCONT);

    CHECK(keys.size() >= 3);
    CHECK_FALSE(keys.contains(""));
  }

  TEST_CASE("promise 2: without keyd members go on, then stretch, then send no tickets") {
    Fleet fleet(2,
                {.rotate_every = "2s", .lifetime = "8s", .publish_ahead = "4s", .stretch = "4s"});
    const auto before = resumes_at_once(fleet, 1, 2, Tls::v1_3);
    CHECK(before != "");

    // announced epochs last at most 4 s + 2 s from here, the stretch 4 s more
    fleet.kill("keyd");
    const auto killed = Clock::now();
    std::set<std::string> keys;
    std::set<int> states;
    Clock::time_point last_ticket = killed;
    while (Clock::now() < killed + 15s) {
      for (const auto version : {Tls::v1_2, Tls::v1_3}) {
        const auto key = resumes_at_once(fleet, 1, 2, version);
        if (key.empty()) continue;
        keys.insert(key);
        last_ticket = Clock::now();
      }
      states.insert(fleet.ring(1).state);
    }
    keys.erase(before);

    CHECK(keys.size() >= 1);  // rotations went on through what was announced
    CHECK(last_ticket > killed + 6s);
    CHECK(last_ticket < killed + 11s);
    CHECK(states.contains(TKT_RING_STRETCHED));
    CHECK(fleet.ring(1).state == TKT_RING_STOPPED);

    // whatever a server seals as they come back, the other one opens
    fleet.start("keyd");
    const auto sends = [&](int from, int to) {
      return !resumes_at_once(fleet, from, to, Tls::v1_2).empty() &&
             !resumes_at_once(fleet, from, to, Tls::v1_3).empty();
    };
    CHECK(support::wait_until([&] { return sends(1, 2) && sends(2, 1); }, 75s));
  }
}
