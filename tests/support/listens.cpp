#include "support/listens.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace support {

namespace {

bool accepts(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int attempt = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool accepted =
      connect(attempt, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(attempt);
  return accepted;
}

}  // namespace

bool listens(std::uint16_t port, Process& process) {
  return wait_until([&] { return accepts(port) || !process.alive(); }, 20s) && process.alive();
}

}  // namespace support
