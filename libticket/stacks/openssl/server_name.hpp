// The server name of a connection (RFC 6066, section 3).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace ticket::openssl {

// A server name in lower case with a NUL behind it; empty = the client sent none.
class ServerName {
 public:
  static constexpr std::size_t longest = 255;
  void clear() {
    size_ = 0;
    text_[0] = '\0';
  }
  // False for what no host name can be: longer than 255 bytes, or with a NUL.
  bool assign(const unsigned char* name, std::size_t size);
  bool assign(const char* name);  // NULL = none

  std::string_view view() const { return {text_.data(), size_}; }
  const char* c_str() const { return size_ == 0 ? nullptr : text_.data(); }

 private:
  std::array<char, longest + 1> text_{};
  std::size_t size_ = 0;
};

// The host name in the body of a server_name extension, as the client wrote it: one, and
// nothing else. None when it is malformed.
std::optional<std::string_view> host_name_in(const unsigned char* bytes, std::size_t size);
// The same, for comparing. False when it is malformed, or no host name can be so.
bool parse_server_name(const unsigned char* bytes, std::size_t size, ServerName* name);

}  // namespace ticket::openssl
