// From an epoch secret to a ticket key, one for each purpose, pool and context.
#pragma once

#include <string_view>

#include "base/bytes.hpp"

namespace ticket::ring {

using KeyName = ByteArray<16>;

// What keeps worlds apart: a foreign stack's ticket is unknown, not misparsed.
namespace purpose {
constexpr std::string_view openssl = "tls/openssl";
// 48-byte ticket keys (AES-128): a key of another length has another name.
constexpr std::string_view openssl_aes128 = "tls/openssl-aes128";
// What seal/ seals is "seal/" and the caller's word: never a TLS stack's.
constexpr std::string_view seal_prefix = "seal/";
}  // namespace purpose

// Writes key_name 16 | hmac key 32 | aes key 32 to `out` (80 bytes) and, where there is room
// for it (96), the name key. `secret` is 32 bytes; names are 1-255 bytes, but a context may
// be empty. Layout: wire/layout.hpp.
void derive_stek(BytesView secret, std::string_view purpose, std::string_view pool,
                 std::string_view context, std::span<std::byte> out);
constexpr std::size_t key_material_size = 96;

}  // namespace ticket::ring
