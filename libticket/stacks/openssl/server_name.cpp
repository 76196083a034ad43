#include "server_name.hpp"

#include <cstring>

#include "capi/core.h"

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

const unsigned char* NameHash::of(const ServerName& name) {
  if (!known_ || name.view() != name_.view()) {
    name_ = name;
    tkt_core_name_hash(name.view().data(), name.view().size(), hash_.data());
    known_ = true;
  }
  return hash_.data();
}

// server_name's body: u16 length of the list, then one entry: u8 type 0, u16
// length, name. Nothing before, between or behind.
bool parse_server_name(const unsigned char* bytes, std::size_t size, ServerName* name) {
  const auto u16 = [bytes](std::size_t at) { return std::size_t(bytes[at]) << 8 | bytes[at + 1]; };
  if (size < 6 || u16(0) != size - 2 || bytes[2] != host_name || u16(3) != size - 5) {
    return false;
  }
  return name->assign(bytes + 5, size - 5);
}

}  // namespace ticket::openssl
