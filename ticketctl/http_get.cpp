#include "http_get.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "dial.hpp"
#include "text.hpp"

namespace ticketctl {

namespace {

constexpr std::size_t largest_answer = 4 << 20;

using Answer = tl::expected<std::string, std::string>;

// Until the server closes.
Answer read_whole(int file, Deadline deadline) {
  std::string answer;
  for (;;) {
    if (!wait_for(file, POLLIN, deadline)) return tl::unexpected(std::string("no answer in time"));
    char bytes[16384];
    const auto got = recv(file, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return tl::unexpected(std::string(std::strerror(errno)));
    if (got == 0) return answer;
    answer.append(bytes, static_cast<std::size_t>(got));
    if (answer.size() > largest_answer) return tl::unexpected(std::string("its answer has no end"));
  }
}

}  // namespace

Answer http_get(const Endpoint& server, const std::string& path,
                std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto socket = dial(server, deadline);
  if (!socket) return tl::unexpected(socket.error());
  const auto request =
      "GET " + path + " HTTP/1.0\r\nHost: " + to_text(server) + "\r\nConnection: close\r\n\r\n";
  // so short that it fits the buffer of a new connection
  if (send(socket->file(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return tl::unexpected(std::string(std::strerror(errno)));
  }
  auto answer = read_whole(socket->file(), deadline);
  if (!answer) return answer;
  const auto body = answer->find("\r\n\r\n");
  if (!answer->starts_with("HTTP/1.") || body == std::string::npos) {
    return tl::unexpected(std::string("it does not speak HTTP"));
  }
  if (answer->substr(8, 5) != " 200 ") {
    return tl::unexpected("it answers " + printable(answer->substr(9, answer->find('\r') - 9)));
  }
  return answer->substr(body + 4);
}

}  // namespace ticketctl
