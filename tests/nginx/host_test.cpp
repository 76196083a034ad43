// What a host with nginx tells its agent and its log, and takes from its ring.
#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "nginx/nginx.hpp"
#include "ring/counters.hpp"

using namespace nginx;
using ticket::ring::Counter;
using ticket::ring::Counters;

namespace {

// a.test and b.test, a context each, on two workers that share the connections.
class Host {
 public:
  Host() : certificates(folder / "web"), ring(folder / "web.ring", 3) {
    Counters::create(folder / "web.counters");
    ring.publish(lives);
    std::string servers;
    for (const std::string name : {"a.test", "b.test"}) {
      servers +=
          "server { listen 127.0.0.1:" + std::to_string(port) +
          (name == "a.test" ? " ssl reuseport" : " ssl") + "; server_name " + name + "; " +
          certificates.of(name) + " ticket_context " + name +
          "; location / { return 200 \"<<$ticket_status>>\"; }"
          " location /trace { ticket_trace on lines=1; } location /pid { return 200 $pid; } }\n";
    }
    nginx = std::make_unique<Nginx>(
        folder / "nginx",
        http_block(folder / "nginx", "ticket_ring " + ring.path().string() + ";\n" + servers));
  }
  std::uint64_t count(Counter counter) const {
    return Counters::sum(folder / "web.counters")[static_cast<std::size_t>(counter)];
  }
  Shake visit(const std::string& name, const std::string& keep, const std::string& offer = "",
              int version = 13) const {
    const auto file = [&](const std::string& session) {
      return session.empty() ? std::string() : std::string(folder / session);
    };
    return connect(port,
                   {.name = name, .version = version, .keep = file(keep), .offer = file(offer)});
  }

  std::string page(const std::string& path) const {
    const auto at = "a.test:" + std::to_string(port);
    return support::run({"curl", "-skN", "--resolve", at + ":127.0.0.1", "https://" + at + path})
        .output;
  }
  // Each has then shaken hands, so it has the keys of this ring.
  bool all_workers_answer() const {
    std::set<std::string> pids;
    return support::wait_until([&] { return pids.insert(page("/pid")), pids.size() == 2; }, 10s);
  }

  const std::vector<Life> lives{{1, -1h, 1h, 3h}};
  support::TempFolder folder;
  Certificates certificates;
  RingFile ring;
  const int port = support::unused_port();
  std::unique_ptr<Nginx> nginx;
};

}  // namespace

TEST_SUITE("nginx: host") {
  TEST_CASE(
      "what all workers seal, resume and refuse is in the host's counters, and outlives them") {
    Host host;
    for (int i = 0; i < 12; ++i) {
      REQUIRE(host.visit("a.test", "a").ok);
      CHECK(host.visit("a.test", "", "a").reused);
    }
    host.visit("a.test", "a");
    CHECK(host.visit("b.test", "", "a").body == "context");
    const auto counted = [&] {
      return host.count(Counter::resumed_sealing) == 12 && host.count(Counter::context) == 1 &&
             host.count(Counter::sealed) == 13 * 2 + 12 + 2;  // two a full handshake in TLS 1.3
    };
    CHECK(support::wait_until(counted, 5s));
    host.nginx->restart();
    host.visit("a.test", "a");
    CHECK(support::wait_until([&] { return host.count(Counter::sealed) == 42; }, 5s));
    CHECK(host.count(Counter::resumed_sealing) == 12);
  }

  TEST_CASE("promise 16: one member's tickets of a window are revoked within a second") {
    Host host;
    for (const int version : {12, 13}) {
      CAPTURE(version);
      Shake again{}, others{};
      const auto revoked = [&] {
        host.ring.publish(host.lives);
        std::this_thread::sleep_for(1s);
        REQUIRE(host.visit("a.test", "a", "", version).ok);
        const auto now = wall_clock();
        host.ring.publish(host.lives, {{4, now - 1h, now + 1s}});  // another's
        std::this_thread::sleep_for(1s);
        others = host.visit("a.test", "", "a", version);

        host.ring.publish(host.lives, {{3, now - 1h, now + 1s}});
        std::this_thread::sleep_for(1s);
        again = host.visit("a.test", "", "a", version);
        return others.reused && again.body == "revoked";
      };
      for (int i = 0; i < 3 && !revoked();) ++i;  // a machine may stand still, once
      CHECK(others.reused);
      CHECK(again.ok);
      CHECK(again.body == "revoked");
    }
  }

  TEST_CASE("promise 12: no key of the ring stands in nginx's log or answers") {
    Host host;
    host.visit("a.test", "a");
    auto said = host.visit("a.test", "", "a").output;
    said += host.page("/trace");
    host.nginx->reload();
    said += host.nginx->log();
    REQUIRE(said.find("\"pool\":\"web\"") != std::string::npos);
    for (const auto* context : {"a.test", "b.test"}) {
      const auto key = hmac_key_of(1, context);
      CHECK(said.find(key) == std::string::npos);
      CHECK(said.find(ticket::hex(ticket::as_bytes(key))) == std::string::npos);
      CHECK(said.find(ticket::base64url(ticket::as_bytes(key)).substr(0, 40)) == std::string::npos);
    }
  }

  TEST_CASE("stock nginx seals with a key of zeros, which everybody has") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    const std::string key = folder / "key", kept = folder / "session";
    const std::string zeros = "00 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00 ";
    support::write_text(key, std::string(80, '\0'));
    const int port = support::unused_port();
    const Nginx stock(folder / "nginx",
                      http_block(folder / "nginx",
                                 "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; " +
                                     certificates.of("a.test") + " ssl_session_ticket_key " + key +
                                     "; return 200 \"\"; }"));
    for (const int version : {12, 13}) {
      CAPTURE(version);
      CHECK(connect(port, {.version = version, .keep = kept}).key_name == zeros);
      CHECK(connect(port, {.version = version, .offer = kept}).reused);
    }
  }

  TEST_CASE("promise 11: nginx takes no ring with all-zero, repeated or twice-named keys") {
    Host host;
    using Slot = ticket::wire::RingSlot;
    const struct {
      const char* what;
      RingFile::Spoil spoil;
    } cases[] = {
        {"an all-zero secret",
         [](Slot& s) { std::ranges::fill(s.secrets.fill().first(32), std::byte{0}); }},
        {"a repeated secret",
         [](Slot& s) {
           std::ranges::copy(s.secrets.expose().first(32), s.secrets.fill().begin() + 32);
         }},
        {"an all-zero id", [](Slot& s) { s.epochs[0].id = {}; }},
        {"a repeated id", [](Slot& s) { s.epochs[1].id = s.epochs[0].id; }},
        {"a repeated number", [](Slot& s) { s.epochs[1].number = s.epochs[0].number; }},
    };
    const std::vector<Life> others{{7, -1h, 1h, 3h}, {8, 1h, 2h, 4h}};
    REQUIRE(host.all_workers_answer());
    const auto before = host.visit("a.test", "a").key_name;
    REQUIRE_FALSE(before.empty());

    for (const auto& wrong : cases) {
      CAPTURE(std::string(wrong.what));
      host.ring.plant(others, wrong.spoil);
      std::this_thread::sleep_for(600ms);
      CHECK(host.visit("a.test", "", "a").reused);
      CHECK(host.visit("a.test", "new").key_name == before);

      host.ring.publish(host.lives);
      std::this_thread::sleep_for(300ms);
    }
    const auto log = host.nginx->log();
    CHECK_MESSAGE(
        log.find("web.ring: ring file holds keys that no door takes") != std::string::npos, log);

    // who starts on it has no keys, and takes up the next ring
    host.ring.plant(others, cases[0].spoil);
    host.nginx->restart();
    CHECK(host.visit("a.test", "none", "a").body == "unknown_key");
    CHECK_FALSE(fs::exists(host.folder / "none"));
    host.ring.plant(others, [](Slot&) {});  // what a writer wrote that refuses none
    CHECK(support::wait_until(
        [&] {
          const auto sealed = host.visit("a.test", "new").key_name;
          return !sealed.empty() && sealed != before;
        },
        5s));
  }
}
