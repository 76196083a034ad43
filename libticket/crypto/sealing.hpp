// Secrets on the move: XChaCha20-Poly1305 under a shared key, and sealed boxes
// (X25519 + XSalsa20-Poly1305, anonymous sender) to one member. All libsodium.
#pragma once

#include "base/checked.hpp"
#include "base/secret.hpp"

namespace ticket::crypto {

// nonce 24 | ciphertext | tag 16. The nonce is random: 2^64 messages a key are safe.
constexpr std::size_t aead_overhead = 24 + 16;

Bytes aead_seal(const Secret<32>& key, BytesView plain, BytesView associated);
// Rejects with forged.
[[nodiscard]] Checked<SecretBytes> aead_open(const Secret<32>& key, BytesView sealed,
                                             BytesView associated);

using BoxPublic = ByteArray<32>;
using BoxSecret = Secret<32>;
// An ephemeral public key 32 | tag 16 before the ciphertext.
constexpr std::size_t box_overhead = 32 + 16;

BoxPublic box_public(const BoxSecret& secret);
Bytes box_seal(const BoxPublic& to, BytesView plain);
// Rejects with forged.
[[nodiscard]] Checked<SecretBytes> box_open(const BoxSecret& secret, BytesView sealed);

}  // namespace ticket::crypto
