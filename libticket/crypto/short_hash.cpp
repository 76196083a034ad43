#include "crypto/short_hash.hpp"

#include <sodium.h>

namespace ticket::crypto {

static_assert(short_hash_key_size == crypto_shorthash_KEYBYTES);

ByteArray<8> short_hash(std::span<const std::byte, short_hash_key_size> key,
                        BytesView bytes) noexcept {
  ByteArray<8> hash;
  static_assert(hash.size() == crypto_shorthash_BYTES);
  crypto_shorthash(raw(hash), raw(bytes), bytes.size(), raw(key));
  return hash;
}

}  // namespace ticket::crypto
