// SHA-256 and HKDF-SHA256-Expand (RFC 5869, section 2.3).
#pragma once

#include "base/bytes.hpp"

namespace ticket::crypto {

using Sha256 = ByteArray<32>;

Sha256 sha256(BytesView bytes);

// Fills `out` (at most 255 * 32 bytes) from a key of 32 or more uniformly
// random bytes. Throws std::runtime_error when OpenSSL fails.
void hkdf_expand(BytesView key, BytesView info, std::span<std::byte> out);

}  // namespace ticket::crypto
