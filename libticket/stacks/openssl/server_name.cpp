#include "server_name.hpp"

#include <cstring>

namespace ticket::openssl {

namespace {

char lower(unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

constexpr unsigned char host_name = 0;  // the one name type there is

}  // namespace

bool ServerName::assign(const unsigned char* name, std::size_t size) {
  clear();
  if (size >= text_.size() || (size != 0 && std::memchr(name, 0, size) != nullptr)) return false;
  for (std::size_t i = 0; i < size; ++i) text_[i] = lower(name[i]);
  text_[size] = '\0';
  size_ = size;
  return true;
}

bool ServerName::assign(const char* name) {
  const std::size_t size = name == nullptr ? 0 : std::strlen(name);
  return assign(reinterpret_cast<const unsigned char*>(name), size);
}

// server_name's body: u16 length of the list, then one entry: u8 type 0, u16
// length, name. Nothing before, between or behind.
std::optional<std::string_view> host_name_in(const unsigned char* bytes, std::size_t size) {
  const auto u16 = [bytes](std::size_t at) { return std::size_t(bytes[at]) << 8 | bytes[at + 1]; };
  if (size < 6 || u16(0) != size - 2 || bytes[2] != host_name || u16(3) != size - 5) {
    return std::nullopt;
  }
  return std::string_view(reinterpret_cast<const char*>(bytes) + 5, size - 5);
}

bool parse_server_name(const unsigned char* bytes, std::size_t size, ServerName* name) {
  const auto told = host_name_in(bytes, size);
  return told && name->assign(reinterpret_cast<const unsigned char*>(told->data()), told->size());
}

}  // namespace ticket::openssl
