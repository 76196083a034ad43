// A TCP connection that is there in time, or a reason.
#pragma once

#include <chrono>
#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "endpoint.hpp"

namespace ticketctl {

using Deadline = std::chrono::steady_clock::time_point;

// Closes what it holds.
class Socket {
 public:
  explicit Socket(int file) : file_(file) {}
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~Socket();

  int file() const { return file_; }

 private:
  int file_;
};

// Tries the addresses of the host in turn. The socket does not block. The error
// is the system's words: "Connection refused". (Looking a name up may take longer
// than the deadline: the resolver has times of its own.)
tl::expected<Socket, std::string> dial(const Endpoint& server, Deadline deadline);

// Until the file is ready for `events` of poll(2); false when the time is up.
bool wait_for(int file, short events, Deadline deadline);

}  // namespace ticketctl
