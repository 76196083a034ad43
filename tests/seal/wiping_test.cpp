// Promise 3 from outside: the keys of tkt_seal in the memory of a process that
// used them, while they live and after.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "ring/derive.hpp"
#include "seal/host.hpp"

using namespace seal_test;

namespace {

void tell(int to) {
  if (write(to, "x", 1) != 1) _exit(3);
}
bool hear(int from) {
  char byte = 0;
  return read(from, &byte, 1) == 1;
}

// A server that seals in a thread which is idle from then on; when it hears us, its
// clock has passed the keys' end and it has had its look at the ring.
void serve(int ends) {
  Clock clock;
  Host host(clock);
  host.publish(1, 2);
  auto* context = host.context();
  std::thread idle([&] {
    if (seal(context, "alice").empty() || open(context, seal(context, "bob")).payload != "bob") {
      _exit(2);
    }
    tell(ends);
    pause();
  });
  hear(ends);
  clock.pass(15h);
  tkt_ring_tend(host.ring.get(), nullptr);
  tell(ends);
  hear(ends);
  _exit(0);
}

// Everything that a process can read of its own.
bool memory_holds(pid_t pid, std::string_view needle) {
  const auto folder = "/proc/" + std::to_string(pid);
  std::ifstream maps(folder + "/maps");
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> memory(
      std::fopen((folder + "/mem").c_str(), "rb"), std::fclose);
  REQUIRE(memory);
  std::string bytes;
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char readable = 0;
    std::sscanf(line.c_str(), "%lx-%lx %c", &from, &to, &readable);
    if (readable != 'r' || line.find("[v") != std::string::npos) continue;
    bytes.resize(to - from);
    std::fseek(memory.get(), static_cast<long>(from), SEEK_SET);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), memory.get()));
    if (bytes.find(needle) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_SUITE("wiping") {
  TEST_CASE("promise 3: an ended key is in no memory of a process whose threads are idle") {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const pid_t server = fork();  // before we know the keys
    if (server == 0) {
      close(ends[0]);
      serve(ends[1]);
    }
    close(ends[1]);
    REQUIRE(hear(ends[0]));
    const auto ring = ring_of(hourly(1, 2));
    ticket::ByteArray<80> stek;
    ticket::ring::derive_stek(ring.secret(0), "seal/ticket", "web", "default", stek);
    const auto text = ticket::as_text(stek);
    const auto hmac_key = text.substr(16, 32), aes_key = text.substr(48, 32);
    CHECK(memory_holds(server, hmac_key));
    CHECK(memory_holds(server, aes_key));

    tell(ends[0]);
    REQUIRE(hear(ends[0]));

    CHECK_FALSE(memory_holds(server, hmac_key));
    CHECK_FALSE(memory_holds(server, aes_key));
    close(ends[0]);
    waitpid(server, nullptr, 0);
  }
}
