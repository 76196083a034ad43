// Frames over a Unix stream socket, as the admin socket and the pair between
// keeper and front speak them: u32 big-endian length | JSON text.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace keyd {

constexpr std::size_t admin_frame_limit = std::size_t{16} << 20;  // 16 MiB: 65,535 members
constexpr std::size_t front_frame_limit = std::size_t{64} << 20;  // 64 MiB

// The other side spoke out of turn: an oversized or empty frame, a message that
// does not parse. The connection is of no more use.
struct ChannelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws ChannelError when the text is empty or longer than `limit`.
std::string frame(std::string_view text, std::size_t limit);

// Gathers bytes as they come and gives out whole frames. Holds at most one
// frame and what one read brought beyond it.
class FrameDecoder {
 public:
  explicit FrameDecoder(std::size_t limit) : limit_(limit) {}

  void feed(std::string_view bytes);
  // The next whole frame's text; nullopt: feed more. Throws ChannelError as soon
  // as a length is seen that is zero or above the limit.
  std::optional<std::string> next();
  // Bytes of a frame that has not ended.
  bool partial() const { return buffer_.size() > used_; }

 private:
  std::size_t limit_;
  std::string buffer_;
  std::size_t used_ = 0;
};

// For blocking sockets. Throw std::system_error, or ChannelError for a frame
// that is too large or cut short.
void send_frame(int fd, std::string_view text, std::size_t limit);
// nullopt when the other side closed between two frames.
std::optional<std::string> receive_frame(int fd, std::size_t limit);

}  // namespace keyd
