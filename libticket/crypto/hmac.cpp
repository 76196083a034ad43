// SHA256_* are called by their old names: they keep their state in the caller's
// memory, which EVP's digests do not.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hmac.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace ticket::crypto {

struct HmacSha256::States {
  SHA256_CTX inner, outer;
};

void HmacSha256::Wipe::operator()(States* states) const noexcept {
  OPENSSL_clear_free(states, sizeof(States));
}

namespace {

constexpr std::size_t block_size = 64;

// The state after the key's block: its bytes, zeros, all xored with `pad`.
void absorb(SHA256_CTX& state, BytesView key, unsigned char pad) {
  unsigned char block[block_size];
  std::fill_n(block, block_size, pad);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= std::to_integer<unsigned char>(key[i]);
  SHA256_Init(&state);
  SHA256_Update(&state, block, block_size);
  OPENSSL_cleanse(block, block_size);
}

}  // namespace

HmacSha256::HmacSha256(BytesView key) {
  if (key.size() > block_size) throw std::invalid_argument("an HMAC key of more than a block");
  states_.reset(static_cast<States*>(OPENSSL_zalloc(sizeof(States))));
  if (!states_) throw std::bad_alloc();
  absorb(states_->inner, key, 0x36);
  absorb(states_->outer, key, 0x5c);
}

void HmacSha256::tag(BytesView message, std::span<std::byte, 32> out) const noexcept {
  SHA256_CTX state = states_->inner;
  SHA256_Update(&state, message.data(), message.size());
  SHA256_Final(raw(out), &state);
  state = states_->outer;
  SHA256_Update(&state, out.data(), out.size());
  SHA256_Final(raw(out), &state);
  OPENSSL_cleanse(&state, sizeof(state));  // who has it can forge
}

bool same_tag(std::span<const std::byte, 32> a, std::span<const std::byte, 32> b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace ticket::crypto
