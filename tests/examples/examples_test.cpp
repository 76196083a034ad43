// The C examples, as real programs.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/process.hpp"

using support::Process;
using support::TempFolder;
using namespace std::chrono_literals;

namespace {

std::string program(const char* name) { return support::build_root() / "examples" / name; }

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A certificate for a.test that is its own CA, and servers that show it.
class Pool {
 public:
  Pool() {
    const auto made = support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                    "/CN=a.test", "-addext", "subjectAltName=DNS:a.test", "-keyout",
                                    folder_ / "key.pem", "-out", certificate()});
    REQUIRE(made.code == 0);
  }
  std::string certificate() const { return folder_ / "cert.pem"; }
  std::string ring() const { return folder_ / "web.ring"; }

  Process start(const std::vector<std::string>& options = {}) const {
    return Process(joined(joined({program("ticket-c-server")}, options),
                          {certificate(), folder_ / "key.pem", "0"}));
  }
  // What the client prints for a walk over these servers, "full" and "resumed" alone.
  std::vector<std::string> walk(const std::vector<std::string>& servers,
                                const std::vector<std::string>& options = {}) const {
    const auto done = support::run(
        joined(joined({program("ticket-resume-client"), "--ca", certificate(), "--name", "a.test"},
                      options),
               servers),
        {}, 20s);
    CAPTURE(done.output);
    CHECK(done.code == 0);
    std::vector<std::string> words;
    for (std::size_t at = 0; at < done.output.size();) {
      const auto end = std::min(done.output.find('\n', at), done.output.size());
      const auto line = done.output.substr(at, end - at);
      words.push_back(line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1));
      at = end + 1;
    }
    return words;
  }

 private:
  TempFolder folder_;
};

// HOST:PORT of a server, once it listens.
std::string address(const Process& server) {
  const std::string words = "listening on ";
  REQUIRE(
      support::wait_until([&] { return server.output().find(words) != std::string::npos; }, 10s));
  const auto text = server.output();
  const auto at = text.find(words) + words.size();
  return text.substr(at, text.find('\n', at) - at);
}

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE("examples") {
  TEST_CASE("server.c has less than 100 lines") {
    const auto text = support::read_text(support::source_root() / "examples/server.c");
    CHECK(std::ranges::count(text, '\n') < 100);
  }

  TEST_CASE("each says how it is used") {
    for (const auto* name : {"ticket-c-server", "ticket-resume-client"}) {
      CAPTURE(name);
      const auto help = support::run({program(name), "--help"});
      CHECK(help.code == 0);
      CHECK(help.output.find("usage: " + std::string(name)) == 0);
      CHECK(help.output.find("example: ") != std::string::npos);
      CHECK(support::run({program(name)}).code == 2);
      CHECK(support::run({program(name), "--nonsense"}).code == 2);
    }
    CHECK(support::run({program("ticket-c-server"), "/nonexistent", "/nonexistent"}).code == 1);
    CHECK(support::run({program("ticket-resume-client"), "127.0.0.1:1"}).code == 1);
  }

  TEST_CASE("a session of one server resumes on the other, which keeps its keys in the same file") {
    const Pool pool;
    auto one = pool.start({"--keep", pool.ring()});
    const auto first = address(one);
    auto two = pool.start({"--keep", pool.ring()});
    const auto second = address(two);

    for (const Words& options : {Words{}, Words{"--tls1.2"}}) {
      CHECK(pool.walk({first, second, first, second}, options) ==
            Words{"full", "resumed", "resumed", "resumed"});
    }

    one.kill();
    one = pool.start({"--keep", pool.ring()});
    CHECK(pool.walk({second, address(one)}) == Words{"full", "resumed"});
  }

  TEST_CASE("servers with keys of their own, in memory, resume their own sessions alone") {
    const Pool pool;
    const auto one = pool.start(), two = pool.start();
    CHECK(pool.walk({address(one), address(one), address(two)}) ==
          Words{"full", "resumed", "full"});
  }

  TEST_CASE(
      "a server whose ring file is not there yet serves without tickets, then with the pool's") {
    const Pool pool;
    const auto waiting = pool.start({"--ring", pool.ring()});
    CHECK(pool.walk({address(waiting), address(waiting)}) == Words{"full", "full"});

    const auto maker = pool.start({"--keep", pool.ring()});  // in the agent's place
    address(maker);
    CHECK(support::wait_until(
        [&] {
          return pool.walk({address(maker), address(waiting)}) == Words{"full", "resumed"};
        },
        10s));
  }
}
