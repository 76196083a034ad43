#include "client/name.hpp"

#include <sodium.h>

#include <array>
#include <bit>

namespace ticket::client {

namespace {

using HashKey = std::array<unsigned char, crypto_shorthash_siphashx24_KEYBYTES>;

HashKey draw() {
  HashKey key;
  randombytes_buf(key.data(), key.size());
  return key;
}

}  // namespace

NameKey key_of(std::string_view text) {
  static const HashKey key = draw();
  std::array<unsigned char, crypto_shorthash_siphashx24_BYTES> hash;
  crypto_shorthash_siphashx24(hash.data(), reinterpret_cast<const unsigned char*>(text.data()),
                              text.size(), key.data());
  return std::bit_cast<NameKey>(hash);
}

}  // namespace ticket::client
