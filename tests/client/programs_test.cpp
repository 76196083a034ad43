// poolget with its own sockets and with libcurl, at real servers.
#include <doctest/doctest.h>

#include <sstream>

#include "client/dns.hpp"
#include "support/process.hpp"

using support::Process;
using support::TempFolder;
using namespace std::chrono_literals;

namespace {

using Words = std::vector<std::string>;

std::string program(const char* name) { return support::build_root() / "examples" / name; }

void must(const Words& command) {
  const auto done = support::run(command);
  CAPTURE(done.output);
  REQUIRE(done.code == 0);
}

// Two names with a certificate each, and two of the example's servers that share a ring.
class Fleet {
 public:
  Fleet() {
    must({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
          "-nodes", "-days", "2", "-subj", "/CN=CA", "-addext", "basicConstraints=critical,CA:TRUE",
          "-keyout", at("ca.key"), "-out", ca()});
    certify("a");
    certify("b");
    keys_.emplace(
        Words{program("ticket-c-server"), "--keep", at("web.ring"), at("a.pem"), at("a.key"), "0"});
    REQUIRE(support::wait_until([&] { return std::filesystem::exists(at("web.ring")); }, 10s));
    start("a");
    start("b");
  }

  std::string at(const std::string& name) const { return folder_ / name; }
  std::string ca() const { return at("ca.pem"); }
  std::string url(const std::string& name) const {
    return "https://" + name + ".test:" + ports_.at(name) + "/";
  }
  std::string server(const std::string& name) const { return name + ".test:" + ports_.at(name); }

  void write_manifest() const {
    support::write_text(at("pools.json"),
                        R"({"version": 1, "expires": 1999999999, "pools": [{"id": "web", )"
                        R"("names": ["a.test"], "servers": [")" +
                            server("b") + "\"]}]}");
  }
  // The URLs one after the other; what is printed.
  support::Outcome get(const char* by, Words arguments, const Words& names,
                       const std::string& trusted = "") const {
    Words command{program(by), "--ca", trusted.empty() ? ca() : trusted};
    for (const auto& name : {"a", "b"}) {
      command.push_back("--resolve");
      command.push_back(server(name) + ":127.0.0.1");
    }
    command.insert(command.end(), arguments.begin(), arguments.end());
    for (const auto& name : names) command.push_back(url(name));
    return support::run(command, {}, 30s);
  }

 private:
  void certify(const std::string& name) const {
    support::write_text(at("names"), "subjectAltName=DNS:a.test,DNS:b.test");
    must({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
          "-subj", "/CN=" + name, "-keyout", at(name + ".key"), "-out", at(name + ".csr")});
    must({"openssl", "x509", "-req", "-in", at(name + ".csr"), "-CA", ca(), "-CAkey", at("ca.key"),
          "-CAcreateserial", "-days", "2", "-extfile", at("names"), "-out", at(name + ".pem")});
  }
  void start(const std::string& name) {
    const auto pem = at(name + ".pem"), key = at(name + ".key");
    servers_.emplace_back(Words{program("ticket-example-server"), "--listen", "127.0.0.1:0",
                                "--port-file", at(name + ".port"), "--ring", at("web.ring"),
                                "--binding", "context", "--host",
                                name + ".test=" + pem + "," + key + ",web"});
    REQUIRE(support::wait_until([&] { return std::filesystem::exists(at(name + ".port")); }, 10s));
    std::istringstream(support::read_text(at(name + ".port"))) >> ports_[name];
  }

  TempFolder folder_;
  std::optional<Process> keys_;
  std::vector<Process> servers_;
  std::map<std::string, std::string> ports_;
};

// Per URL "full", "own" or "other".
Words kinds(const std::string& output) {
  Words kinds;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("https://")) continue;
    const auto host = line.substr(8, line.find('/', 8) - 8);
    const auto of = line.find("resumed by a ticket of ");
    if (of == std::string::npos) {
      kinds.push_back(line.find(" full ") != std::string::npos ? "full" : "?");
    } else {
      kinds.push_back(line.compare(of + 23, host.size(), host) == 0 ? "own" : "other");
    }
  }
  return kinds;
}

}  // namespace

TEST_SUITE("client: programs") {
  TEST_CASE("poolget and libcurl resume at the other server by one manifest, and not without") {
    const Fleet fleet;
    fleet.write_manifest();
    for (const auto* by : {"poolget", "poolget-curl"}) {
      CAPTURE(by);
      const auto with =
          fleet.get(by, {"--manifest", fleet.at("pools.json")}, {"a", "b", "b", "a", "a"});
      CAPTURE(with.output);
      CHECK(with.code == 0);
      CHECK(kinds(with.output) == Words{"full", "other", "own", "other", "own"});

      const auto without = fleet.get(by, {}, {"a", "b", "b", "a"});
      CAPTURE(without.output);
      CHECK(without.code == 0);
      CHECK(kinds(without.output) == Words{"full", "full", "own", "own"});

      const auto keep = [&] {
        return kinds(fleet
                         .get(by, {"--manifest", fleet.at("pools.json"), "--cache", fleet.at(by)},
                              {"a", "b"})
                         .output);
      };
      CHECK(keep() == Words{"full", "other"});
      CHECK(keep() == Words{"other", "other"});
    }
  }

  TEST_CASE("one cache and two --ca: what one vouched for is not resumed under the other") {
    const Fleet fleet, other;  // each with a CA of its own
    for (const auto* by : {"poolget", "poolget-curl"}) {
      CAPTURE(by);
      const Words cache{"--cache", fleet.at(by)};
      const auto get = [&](const Fleet& trusted) {
        return fleet.get(by, cache, {"a"}, trusted.ca());
      };
      CHECK(kinds(get(fleet).output) == Words{"full"});
      CHECK(kinds(get(fleet).output) == Words{"own"});

      const auto refused = get(other);

      CAPTURE(refused.output);
      CHECK(refused.code == 1);
      CHECK(kinds(refused.output).empty());
      CHECK(kinds(get(fleet).output) == Words{"own"});  // which it still has
    }
  }

  TEST_CASE("nor under another SSL_CERT_FILE") {
    const Fleet fleet, other;
    const auto get = [&](const Fleet& trusted) {
      return support::run({"env", "SSL_CERT_FILE=" + trusted.ca(), "SSL_CERT_DIR=/nonexistent",
                           program("poolget"), "--cache", fleet.at("cache"), "--resolve",
                           fleet.server("a") + ":127.0.0.1", fleet.url("a")},
                          {}, 30s);
    };
    CHECK(kinds(get(fleet).output) == Words{"full"});
    CHECK(kinds(get(fleet).output) == Words{"own"});
    CHECK(get(other).code == 1);
    CHECK(kinds(get(fleet).output) == Words{"own"});
  }

  TEST_CASE("poolget finds the pool by DNS") {
    const Fleet fleet;
    const dns::Nsd nsd("_tls-pool.a TXT \"v=1 pool=web\"\n_tls-pool.b TXT \"v=1 pool=web\"\n");
    const auto done = fleet.get("poolget", {"--dns=" + nsd.address()}, {"a", "b", "a"});
    CAPTURE(done.output);
    CHECK(kinds(done.output) == Words{"full", "other", "other"});
  }

  TEST_CASE("poolget says what went wrong, and goes on") {
    const Fleet fleet;
    fleet.write_manifest();
    const auto json = fleet.get("poolget", {"--json"}, {"a"});
    CHECK(json.output.find("\"resumed\":false") != std::string::npos);
    CHECK(json.output.find("\"full\":1") != std::string::npos);
    const auto dead =
        support::run({program("poolget"), "--ca", fleet.ca(), "https://127.0.0.1:1/"}, {}, 20s);
    CHECK(dead.code == 1);
    CHECK(dead.output.find("127.0.0.1:1: Connection refused") != std::string::npos);
    support::write_text(fleet.at("pools.json"), "{\n oops");
    for (const auto* by : {"poolget", "poolget-curl"}) {
      CAPTURE(by);
      const auto bad = fleet.get(by, {"--manifest", fleet.at("pools.json")}, {"a"});
      CHECK(bad.code == 1);
      CHECK(bad.output.find("pools.json: line 2, column 2: not JSON") != std::string::npos);
      CHECK(support::run({program(by)}).code == 2);
      CHECK(support::run({program(by), "--help"}).code == 0);
    }
  }

  TEST_CASE("openssl s_server resumes too, in TLS 1.2 and 1.3") {
    const Fleet fleet;
    const auto port = std::to_string(support::unused_port());
    Process server(Words{"openssl", "s_server", "-accept", "127.0.0.1:" + port, "-cert",
                         fleet.at("a.pem"), "-key", fleet.at("a.key"), "-www"});
    REQUIRE(support::wait_until([&] { return server.output().find("ACCEPT") != std::string::npos; },
                                10s));
    for (const Words& version : {Words{}, Words{"--tls1.2"}}) {
      Words command{program("poolget"), "--ca", fleet.ca(), "--resolve",
                    "a.test:" + port + ":127.0.0.1"};
      command.insert(command.end(), version.begin(), version.end());
      for (int i = 0; i < 3; ++i) command.push_back("https://a.test:" + port + "/");
      const auto done = support::run(command, {}, 30s);
      CAPTURE(done.output);
      CHECK(kinds(done.output) == Words{"full", "own", "own"});
    }
  }
}
