// The server name of a connection (RFC 6066, section 3).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "client_cas.hpp"

namespace ticket::openssl {

// A server name in lower case with a NUL behind it; empty = the client sent none.
class ServerName {
 public:
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
  std::array<char, 256> text_{};
  std::size_t size_ = 0;
};

// The hash of the last name asked for and, where client certificates are, of the CAs that
// vouch for them (wire/layout.hpp). Kept when a note passes on to another connection, which
// often asks for the same one.
class NameHash {
 public:
  const unsigned char* of(const ServerName& name, const ClientCas& cas);  // 8 bytes

 private:
  ServerName name_;
  ClientCas cas_;
  std::array<unsigned char, 8> hash_{};
  bool known_ = false;
};

// Reads the body of a server_name extension: one host name and nothing else.
// False when it is malformed.
bool parse_server_name(const unsigned char* bytes, std::size_t size, ServerName* name);

}  // namespace ticket::openssl
