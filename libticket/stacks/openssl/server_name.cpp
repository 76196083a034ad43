#include "server_name.hpp"

#include <algorithm>
#include <cstring>

#include "capi/core.h"

namespace ticket::openssl {

namespace {

char lower(unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

constexpr unsigned char host_name = 0;  // the one name type there is

// name | where certificates are asked for: NUL, hex of the CAs' digest. No name has a NUL.
std::array<unsigned char, 8> hash_of(const ServerName& name, const ClientCas& cas) {
  static constexpr char digits[] = "0123456789abcdef";
  std::array<char, 256 + 1 + 64> text;
  char* end = std::ranges::copy(name.view(), text.data()).out;
  if (cas.asked) {
    *end++ = '\0';
    for (const unsigned char byte : cas.digest) {
      *end++ = digits[byte >> 4];
      *end++ = digits[byte & 0xf];
    }
  }
  std::array<unsigned char, 8> hash;
  tkt_core_name_hash(text.data(), std::size_t(end - text.data()), hash.data());
  return hash;
}

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

const unsigned char* NameHash::of(const ServerName& name, const ClientCas& cas) {
  const bool same_cas = cas.asked == cas_.asked && cas.digest == cas_.digest;
  if (!known_ || !same_cas || name.view() != name_.view()) {
    name_ = name;
    cas_ = cas;
    hash_ = hash_of(name, cas);
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
