#include "fake_keyd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace test {

namespace {

int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 1) != 0) {
    throw std::runtime_error("cannot listen at " + path);
  }
  return listener;
}

std::string read_request(int connection) {
  std::string bytes(4096, '\0');
  const auto size = recv(connection, bytes.data(), bytes.size(), 0);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return bytes;
}

}  // namespace

FakeKeyd::FakeKeyd(const std::filesystem::path& path, std::string answer)
    : listener_(listen_at(path)), answer_(std::move(answer)), thread_([this] {
        const int connection = accept(listener_, nullptr, nullptr);
        if (connection < 0) return;
        request_ = read_request(connection);
        for (std::size_t sent = 0; sent < answer_.size();) {
          const auto count =
              send(connection, answer_.data() + sent, answer_.size() - sent, MSG_NOSIGNAL);
          if (count <= 0) break;
          sent += static_cast<std::size_t>(count);
        }
        close(connection);
      }) {}

FakeKeyd::~FakeKeyd() {
  shutdown(listener_, SHUT_RDWR);  // ends an accept that nobody answered
  if (thread_.joinable()) thread_.join();
  close(listener_);
}

std::string FakeKeyd::request() {
  thread_.join();
  return request_;
}

std::string framed(const std::string& text) {
  std::string frame;
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(text.size() >> shift & 0xff);
  return frame + text;
}

}  // namespace test
