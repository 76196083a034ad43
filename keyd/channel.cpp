#include "channel.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace keyd {

namespace {

constexpr std::size_t header_size = 4;

std::uint32_t read_length(std::string_view header) {
  std::uint32_t length = 0;
  for (const unsigned char byte : header) length = (length << 8) | byte;
  return length;
}

void check_length(std::size_t length, std::size_t limit) {
  if (length == 0) throw ChannelError("an empty frame");
  if (length > limit) {
    throw ChannelError("a frame of " + std::to_string(length) + " bytes; at most " +
                       std::to_string(limit) + " are taken");
  }
}

// False when the stream ended before the first byte.
bool receive_all(int fd, char* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const auto count = ::recv(fd, out + done, size - done, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::system_error(errno, std::generic_category(), "recv");
    if (count == 0 && done == 0) return false;
    if (count == 0) throw ChannelError("a frame was cut short");
    done += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

std::string frame(std::string_view text, std::size_t limit) {
  check_length(text.size(), limit);
  const auto length = static_cast<std::uint32_t>(text.size());
  std::string framed;
  framed.reserve(header_size + text.size());
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(length >> shift);
  framed += text;
  return framed;
}

void FrameDecoder::feed(std::string_view bytes) {
  if (used_ > 0) {
    buffer_.erase(0, used_);
    used_ = 0;
  }
  buffer_ += bytes;
}

std::optional<std::string> FrameDecoder::next() {
  const auto rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < header_size) return std::nullopt;
  const std::size_t length = read_length(rest.substr(0, header_size));
  check_length(length, limit_);
  if (rest.size() < header_size + length) return std::nullopt;
  used_ += header_size + length;
  return std::string(rest.substr(header_size, length));
}

void send_frame(int fd, std::string_view text, std::size_t limit) {
  const auto framed = frame(text, limit);
  std::size_t done = 0;
  while (done < framed.size()) {
    const auto count = ::send(fd, framed.data() + done, framed.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::system_error(errno, std::generic_category(), "send");
    done += static_cast<std::size_t>(count);
  }
}

std::optional<std::string> receive_frame(int fd, std::size_t limit) {
  char header[header_size];
  if (!receive_all(fd, header, header_size)) return std::nullopt;
  const std::size_t length = read_length({header, header_size});
  check_length(length, limit);
  std::string text(length, '\0');
  if (!receive_all(fd, text.data(), length)) throw ChannelError("a frame was cut short");
  return text;
}

}  // namespace keyd
