// Promises 8 and 17: what agents and keyd believe, and whom.
#include <doctest/doctest.h>

#include <algorithm>

#include "promises/fleet.hpp"

using promises::Fleet;
using promises::Times;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

// Nothing rotates by itself while a test looks.
const Times slow = {.rotate_every = "1h", .lifetime = "2h", .publish_ahead = "1h", .stretch = "2h"};

struct Identity {
  fs::path certificate, key;
};

Identity member(const Fleet& fleet, int host) {
  return {fleet.host(host) / "member.pem", fleet.host(host) / "member.key"};
}

struct Answer {
  std::string status;  // "200"; "000" when TLS failed
  std::string body;
};

// Asks keyd with a client certificate. The server's is not checked: here the
// client is on trial.
Answer ask(const Fleet& fleet, const Identity& who, const std::string& path,
           const std::vector<std::string>& more = {}) {
  std::vector<std::string> argv = {
      "curl",  "-s",    "-k", "--cert",         who.certificate,
      "--key", who.key, "-w", "\n%{http_code}", "https://" + fleet.keyd_address() + path};
  argv.insert(argv.end(), more.begin(), more.end());
  const auto output = support::run(argv, {}, 20s).output;
  const auto line = output.rfind('\n');
  REQUIRE(line != std::string::npos);
  return {output.substr(line + 1), output.substr(0, line)};
}

// A certificate by `authority` (ca.pem, ca.key) with a role and a use.
Identity certificate(const fs::path& authority, const fs::path& folder, const std::string& role,
                     const std::string& use) {
  const Identity made = {folder / "made.pem", folder / "made.key"};
  support::write_text(folder / "made.ext", "subjectAltName=URI:" + role +
                                               ",IP:127.0.0.1\nextendedKeyUsage=" + use + "\n");
  const auto request = support::run({"openssl", "req", "-newkey", "ec", "-pkeyopt",
                                     "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=made",
                                     "-keyout", made.key, "-out", folder / "made.csr"});
  REQUIRE_MESSAGE(request.code == 0, request.output);
  const auto sign = support::run({"openssl", "x509", "-req", "-in", folder / "made.csr", "-CA",
                                  authority / "ca.pem", "-CAkey", authority / "ca.key", "-days",
                                  "2", "-extfile", folder / "made.ext", "-out", made.certificate});
  REQUIRE_MESSAGE(sign.code == 0, sign.output);
  return made;
}

// keyd's address, taken over by somebody who only has what was recorded.
class LyingFront {
 public:
  LyingFront(const Fleet& fleet, const Identity& who, const std::string& bundle,
             const std::string& wrap)
      : process_(command(fleet, who, bundle, wrap)) {
    REQUIRE_MESSAGE(support::wait_until([this] { return saw("listening") == 1; }, 10s),
                    process_.output());
  }

  // How many lines of its output contain `text`.
  int saw(const std::string& text) const {
    const auto output = process_.output();
    int count = 0;
    for (auto at = output.find(text); at != std::string::npos; at = output.find(text, at + 1))
      ++count;
    return count;
  }
  bool is_asked(int times) const {
    return support::wait_until([&] { return saw("/bundle") >= times; }, 20s);
  }

 private:
  std::vector<std::string> command(const Fleet& fleet, const Identity& who,
                                   const std::string& bundle, const std::string& wrap) {
    support::write_text(folder_ / "bundle", bundle);
    support::write_text(folder_ / "wrap", wrap);
    return {"/usr/bin/python3",
            support::source_root() / "tests/promises/lying_front.py",
            "--address",
            fleet.keyd_address(),
            "--certificate",
            who.certificate,
            "--key",
            who.key,
            "--ca",
            fleet.folder() / "fleet/authority/ca.pem",
            "--bundle",
            folder_ / "bundle",
            "--wrap",
            folder_ / "wrap"};
  }

  support::TempFolder folder_;
  support::Process process_;
};

struct Recording {
  std::string bundle, wrap;
};

Recording record(const Fleet& fleet) {
  const auto bundle = ask(fleet, member(fleet, 1), "/v1/pools/fleet/bundle");
  const auto wrap = ask(fleet, member(fleet, 1), "/v1/pools/fleet/wraps/host1");
  REQUIRE(bundle.status == "200");
  REQUIRE(wrap.status == "200");
  return {bundle.body, wrap.body};
}

void rotate_now(const Fleet& fleet) {
  const auto done =
      support::run({support::build_root() / "ticketctl/ticketctl", "rotate", "--now", "--pool",
                    "fleet", "--socket", fleet.folder() / "fleet/authority/keyd.sock"});
  REQUIRE_MESSAGE(done.code == 0, done.output);
}

}  // namespace

TEST_SUITE("trust") {
  TEST_CASE("promise 8: an older bundle, replayed, is refused, also after a restart") {
    Fleet fleet(1, slow);
    const Identity keyd = {fleet.folder() / "fleet/authority/keyd.pem",
                           fleet.folder() / "fleet/authority/keyd.key"};
    const auto old = record(fleet);
    const auto old_generation = fleet.ring(1).generation;
    rotate_now(fleet);
    REQUIRE(support::wait_until([&] { return fleet.ring(1).generation > old_generation; }, 20s));
    const auto generation = fleet.ring(1).generation;

    fleet.kill("keyd");
    {
      const LyingFront front(fleet, keyd, old.bundle, old.wrap);

      CHECK(front.is_asked(2));
      CHECK(fleet.ring(1).generation == generation);

      fleet.kill("agent1");
      int asked = front.saw("/bundle");
      fleet.start("agent1");
      CHECK(front.is_asked(asked + 2));
      CHECK(fleet.ring(1).generation == generation);

      // a reboot takes the ring file with it
      fleet.kill("agent1");
      asked = front.saw("/bundle");
      fs::remove(fleet.host(1) / "fleet.ring");
      fleet.start("agent1");
      CHECK(front.is_asked(asked + 2));
      CHECK(fleet.ring(1).generation == generation);
      CHECK(fleet.ring(1).state == TKT_RING_OK);
    }

    fleet.start("keyd");
    REQUIRE(support::wait_until(
        [&] { return fs::exists(fleet.folder() / "fleet/authority/keyd.sock"); }, 10s));
    support::wait_until([&] { return ask(fleet, member(fleet, 1), "/").status != "000"; }, 10s);
    rotate_now(fleet);
    CHECK(support::wait_until([&] { return fleet.ring(1).generation > generation; }, 40s));
  }

  TEST_CASE("promise 17: a member's certificate cannot speak for keyd") {
    Fleet fleet(1, slow);
    const support::TempFolder folder;
    const auto authority = fleet.folder() / "fleet/authority";
    const auto recorded = record(fleet);
    fleet.kill("keyd");

    SUBCASE("the one that it has") {
      const LyingFront front(fleet, member(fleet, 1), recorded.bundle, recorded.wrap);
      CHECK(support::wait_until(
          [&] { return fleet.log("agent1").find("certificate") != std::string::npos; }, 20s));
      CHECK(front.saw("/v1/") == 0);
    }
    SUBCASE("one that is good for servers") {
      const auto who =
          certificate(authority, folder.path(), "ticket:member:fleet:host1", "serverAuth");
      const LyingFront front(fleet, who, recorded.bundle, recorded.wrap);
      CHECK(support::wait_until(
          [&] { return fleet.log("agent1").find("ticket:keyd") != std::string::npos; }, 20s));
      CHECK(front.saw("/v1/") == 0);
    }
    SUBCASE("while keyd's role would be believed") {
      const auto who = certificate(authority, folder.path(), "ticket:keyd", "serverAuth");
      const LyingFront front(fleet, who, recorded.bundle, recorded.wrap);
      CHECK(front.is_asked(1));
    }
  }

  TEST_CASE("promise 17: a member of one pool gets nothing of another pool") {
    Fleet fleet(1, slow);
    const support::TempFolder folder;
    const auto authority = fleet.folder() / "fleet/authority";
    const auto shop = folder / "shop";
    const auto init = support::run(
        {support::build_root() / "ticketctl/ticketctl", "init", "--dir", shop, "--pool", "shop"});
    REQUIRE_MESSAGE(init.code == 0, init.output);
    support::write_text(authority / "keyd.toml",
                        support::read_text(authority / "keyd.toml") +
                            "\n[[pool]]\nname = \"shop\"\nmembers_ca = \"" +
                            (shop / "ca.pem").string() +
                            "\"\n\n[[pool]]\nname = \"twin\"\nmembers_ca = \"ca.pem\"\n");
    fleet.kill("keyd");
    fleet.start("keyd");
    const auto host1 = member(fleet, 1);
    REQUIRE(support::wait_until(
        [&] { return ask(fleet, host1, "/v1/pools/fleet/bundle").status == "200"; }, 20s));

    const auto stranger =  // shop's CA knows nothing of fleet's members
        certificate(shop, folder.path(), "ticket:member:fleet:host1", "clientAuth");
    const struct {
      std::string what;
      Identity who;
      std::string path;
    } attempts[] = {
        {"a pool of the same CA", host1, "/v1/pools/twin/bundle"},
        {"its wraps", host1, "/v1/pools/twin/wraps/host1"},
        {"a pool of another CA", host1, "/v1/pools/shop/bundle"},
        {"its wraps", host1, "/v1/pools/shop/wraps/host1"},
        {"the right role from the wrong CA", stranger, "/v1/pools/fleet/bundle"},
        {"its wraps", stranger, "/v1/pools/fleet/wraps/host1"},
        {"keyd's own certificate",
         {authority / "keyd.pem", authority / "keyd.key"},
         "/v1/pools/fleet/bundle"},
    };
    for (const auto& attempt : attempts) {
      CAPTURE(attempt.what);
      const auto answer = ask(fleet, attempt.who, attempt.path);
      CAPTURE(answer.body);
      // 000: the TLS handshake already failed, as for keyd's certificate
      CHECK((answer.status == "403" || answer.status == "000"));
      CHECK(answer.body.find("manifest") == std::string::npos);
      CHECK(answer.body.find("\"wrap\"") == std::string::npos);
    }
    const auto enrol = ask(fleet, host1, "/v1/pools/twin/members/self",
                           {"-X", "PUT", "--data", R"({"chain":"","sealing_key":"","time":1})"});
    CHECK(enrol.status[0] == '4');
  }
}
