// SipHash-2-4: 8 bytes that only who has the key can tell, or bring to meet.
#pragma once

#include "base/bytes.hpp"

namespace ticket::crypto {

constexpr std::size_t short_hash_key_size = 16;

// A PRF of any bytes, 20 ns for a server name. Not for who knows the key.
ByteArray<8> short_hash(std::span<const std::byte, short_hash_key_size> key,
                        BytesView bytes) noexcept;

}  // namespace ticket::crypto
