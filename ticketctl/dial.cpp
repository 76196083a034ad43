#include "dial.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace ticketctl {

using std::chrono::milliseconds;

Socket::~Socket() {
  if (file_ >= 0) close(file_);
}

bool wait_for(int file, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wanted{file, events, 0};
    const int ready = poll(&wanted, 1, static_cast<int>(std::clamp<long>(left, 0, 3'600'000)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

namespace {

// 0, or an errno.
int connect_to(int file, const addrinfo& address, Deadline deadline) {
  if (connect(file, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(file, POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(file, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

tl::expected<Socket, std::string> dial(const Endpoint& server, Deadline deadline) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int unknown =
      getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
  if (unknown != 0) return tl::unexpected(std::string(gai_strerror(unknown)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);

  int error = EADDRNOTAVAIL;
  for (const auto* address = found; address != nullptr; address = address->ai_next) {
    Socket made(socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (made.file() < 0) {
      error = errno;
      continue;
    }
    error = connect_to(made.file(), *address, deadline);
    if (error == 0) return made;
  }
  return tl::unexpected(std::string(std::strerror(error)));
}

}  // namespace ticketctl
