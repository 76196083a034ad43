// What a resumption costs the kernel, the allocator and other threads, in nginx itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>

#include "nginx/nginx.hpp"

using namespace nginx;

namespace {

// Of handshake_watch.c.
struct Counts {
  std::uint64_t handshakes, allocations, locks, getpids, of_others;
};

Counts read_counts(const fs::path& file) {
  const auto bytes = support::read_text(file);
  Counts counts{};
  REQUIRE(bytes.size() == sizeof counts);
  std::memcpy(&counts, bytes.data(), sizeof counts);
  return counts;
}

support::Process strace(const std::vector<pid_t>& pids, const fs::path& to) {
  std::vector<std::string> argv = {"strace", "-f", "-qq", "-o", to};
  for (const auto pid : pids) argv.insert(argv.end(), {"-p", std::to_string(pid)});
  support::Process process(argv);
  const auto attached = [&] {
    return std::ranges::all_of(pids, [](pid_t pid) {
      return support::read_text("/proc/" + std::to_string(pid) + "/status")
                 .find("TracerPid:\t0\n") == std::string::npos;
    });
  };
  REQUIRE(support::wait_until(attached, 10s));
  return process;
}

// How often each system call was made within handshakes: those between two getppid of one
// worker. A call that another worker's interrupts in the log is counted by its first line.
std::map<std::string, int> calls_in_handshakes(const fs::path& log) {
  std::map<std::string, int> calls;
  std::map<std::string, bool> inside;
  std::istringstream lines(support::read_text(log));
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' '), open = line.find('(');
    if (open == std::string::npos || line.find(" resumed>") != std::string::npos) continue;
    const auto worker = line.substr(0, space);
    const auto from = line.find_first_not_of(' ', space);
    const auto name = line.substr(from, open - from);
    if (name == "getppid") {
      inside[worker] = !inside[worker];
    } else if (inside[worker]) {
      ++calls[name];
    }
  }
  return calls;
}

}  // namespace

TEST_SUITE("nginx: steady state") {
  TEST_CASE("a resumption makes no system call, no allocation of ours and takes no lock") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish({{1, -2h, -1h, 1h}, {2, -1h, 1h, 3h}, {3, 1h, 2h, 4h}});
    const int port = support::unused_port();
    const auto server = [&](const std::string& name) {
      return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + name +
             "; " + certificates.of(name) + " ticket_context " + name + "; return 200 \"\"; }\n";
    };
    const auto library = support::build_root() / "tests/nginx/libhandshake_watch.so";
    const Nginx nginx(
        folder / "nginx",
        http_block(folder / "nginx", "ticket_ring " + ring.path().string() + ";\n" +
                                         server("a.test") + server("b.test")),
        {"env", "LD_PRELOAD=" + library.string(), "TICKET_WATCH=" + (folder / "counts").string()});
    for (const int version : {12, 13}) {
      CAPTURE(version);
      const std::string kept = folder / "session";
      const auto resume = [&](int times) {
        for (int i = 0; i < times; ++i) {
          CHECK(connect(port, {.name = "b.test", .version = version, .offer = kept}).reused);
        }
      };
      connect(port, {.name = "b.test", .version = version, .keep = kept});
      resume(20);  // both workers have warmed up

      auto tracer = strace(nginx.children(), folder / "calls");
      const auto before = read_counts(folder / "counts");
      resume(30);
      const auto after = read_counts(folder / "counts");
      tracer.send(SIGTERM);
      tracer.wait(5s);

      CHECK(after.handshakes - before.handshakes >= 30);
      CHECK(after.of_others - before.of_others > 30);  // OpenSSL's: it does count
      CHECK(after.allocations == before.allocations);
      CHECK(after.locks == before.locks);
      CHECK(after.getpids == before.getpids);
      const auto calls = calls_in_handshakes(folder / "calls");
      for (const auto& [name, times] : calls) {
        CAPTURE(name);
        CAPTURE(times);
        // the socket's; OpenSSL's; and the heap's top, which its allocations move at times
        const bool of_others = name == "read" || name == "write" || name == "getpid";
        CHECK((of_others || (name == "brk" && times < 10)));
      }
      CHECK(calls.count("write") == 1);  // it does see them
    }
  }
}
