// ticket_trace: a client asks about its own connection.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "nginx/nginx.hpp"

using namespace nginx;
using nlohmann::json;

namespace {

class Traced {
 public:
  Traced() : certificates(folder / "web"), ring(folder / "web.ring", 9) {
    ring.publish({{5, -1h, 1h, 3h}});
    nginx = std::make_unique<Nginx>(
        folder / "nginx",
        http_block(folder / "nginx", "ticket_ring " + ring.path().string() +
                                         "; server { listen 127.0.0.1:" + std::to_string(port) +
                                         " ssl http2; listen 127.0.0.1:" + std::to_string(plain) +
                                         "; server_name a.test; " + certificates.of("a.test") +
                                         " send_timeout 2s; location / { return 200 \"\"; }"
                                         " location /trace { ticket_trace on lines=3; }"
                                         " location /long { ticket_trace on; } }\n"));
  }
  support::Outcome curl(const std::string& path, std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {"curl", "-sk", "-N",
                                     "https://127.0.0.1:" + std::to_string(port) + path};
    argv.insert(argv.end(), more.begin(), more.end());
    return support::run(argv);
  }

  support::TempFolder folder;
  Certificates certificates;
  RingFile ring;
  int port = support::unused_port(), plain = support::unused_port();
  std::unique_ptr<Nginx> nginx;
};

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) found.push_back(json::parse(line));
  return found;
}

}  // namespace

TEST_SUITE("nginx: trace") {
  TEST_CASE("a line a second, as many as the location allows, over HTTP/1.1 and HTTP/2") {
    const Traced server;
    for (const char* version : {"--http1.1", "--http2"}) {
      CAPTURE(version);
      const auto began = std::chrono::steady_clock::now();
      const auto traced = server.curl("/trace", {version});
      const auto took = std::chrono::steady_clock::now() - began;
      REQUIRE(traced.code == 0);
      const auto lines = lines_of(traced.output);
      REQUIRE(lines.size() == 3);
      CHECK(took > 1900ms);
      for (const auto& line : lines) {
        CAPTURE(line.dump());
        CHECK(line.at("protocol") == "TLSv1.3");
        CHECK(line.at("ticket") == "new");
        CHECK(line.at("pool") == "web");
        CHECK_FALSE(line.contains("epoch"));
        CHECK(line.at("rtt_us").get<int>() > 0);
      }
      CHECK(lines[2].at("time").get<long>() >= lines[0].at("time").get<long>() + 1);
      CHECK(lines[2].at("sent_bytes").get<long>() > lines[0].at("sent_bytes").get<long>());
    }
  }

  TEST_CASE("a resumed connection learns of its ticket") {
    const Traced server;
    const std::string kept = server.folder / "session";
    for (const int version : {12, 13}) {
      CAPTURE(version);
      connect(server.port, {.version = version, .keep = kept});
      const auto traced =
          connect(server.port, {.version = version, .offer = kept, .path = "/trace"});
      REQUIRE(traced.reused);
      const auto begin = traced.output.find("{\"time\"");
      REQUIRE(begin != std::string::npos);
      const auto line =
          json::parse(traced.output.substr(begin, traced.output.find('\n', begin) - begin));
      CHECK(line.at("ticket") == "resumed");
      CHECK(line.at("epoch") == 5);
      CHECK(line.at("minter") == 9);
      CHECK(line.at("ticket_age").get<int>() < 30);
      // of its own connection, and nothing else
      std::set<std::string> keys;
      for (const auto& [key, value] : line.items()) keys.insert(key);
      CHECK(keys == std::set<std::string>{"time", "protocol", "ticket", "pool", "epoch", "minter",
                                          "ticket_age", "rtt_us", "rtt_var_us", "sent_bytes",
                                          "received_bytes", "retransmits"});
    }
  }

  TEST_CASE("what is no GET is refused, HEAD gets a head, plain HTTP has no ticket") {
    const Traced server;
    CHECK(server.curl("/trace", {"-d", "x", "-o", "/dev/null", "-w", "%{http_code}"}).output ==
          "405");
    const auto head = server.curl("/trace", {"-I", "--http1.1"});
    CHECK(head.output.find("200 OK") != std::string::npos);
    CHECK(head.output.find("Cache-Control: no-store") != std::string::npos);
    CHECK(head.output.find("application/x-ndjson") != std::string::npos);
    const auto plain = support::run(
        {"curl", "-sN", "http://127.0.0.1:" + std::to_string(server.plain) + "/trace"});
    CHECK(lines_of(plain.output).at(0).at("ticket") == nullptr);
    CHECK(lines_of(plain.output).at(0).at("protocol") == "none");
  }

  TEST_CASE("who leaves, and who does not read, is let go of; a reload ends all traces") {
    Traced server;
    const auto url = "https://127.0.0.1:" + std::to_string(server.port) + "/long";
    {
      support::Process left({"curl", "-skN", url});
      CHECK(support::wait_until([&] { return !left.output().empty(); }, 10s));
    }
    const auto workers = server.nginx->children();
    {
      support::Process stays({"curl", "-skN", url}), stays2({"curl", "-skN", "--http1.1", url});
      CHECK(support::wait_until([&] { return !stays.output().empty() && !stays2.output().empty(); },
                                10s));
      server.nginx->reload();  // returns when the old workers are gone
      CHECK(stays.wait(5s).has_value());
      CHECK(stays2.wait(5s).has_value());
    }
    for (const auto pid : workers) CHECK_FALSE(fs::exists("/proc/" + std::to_string(pid)));
    const auto log = server.nginx->log();
    CHECK_MESSAGE(log.find("[alert]") == std::string::npos, log);
    CHECK_MESSAGE(log.find("exited on signal") == std::string::npos, log);
  }
}
