#include "crypto/sealing.hpp"

#include <sodium.h>

#include <stdexcept>

namespace ticket::crypto {

namespace {

constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
static_assert(nonce_size + crypto_aead_xchacha20poly1305_ietf_ABYTES == aead_overhead);
static_assert(crypto_box_SEALBYTES == box_overhead);

}  // namespace

Bytes aead_seal(const Secret<32>& key, BytesView plain, BytesView associated) {
  Bytes sealed(plain.size() + aead_overhead);
  const auto nonce = std::span(sealed).first(nonce_size);
  randombytes_buf(nonce.data(), nonce.size());
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      raw(std::span(sealed).subspan(nonce_size)), nullptr, raw(plain), plain.size(),
      raw(associated), associated.size(), nullptr, raw(nonce), raw(key.expose()));
  return sealed;
}

Checked<SecretBytes> aead_open(const Secret<32>& key, BytesView sealed, BytesView associated) {
  if (sealed.size() < aead_overhead) return reject(Rejection::forged);
  SecretBytes plain(sealed.size() - aead_overhead);
  const auto ciphertext = sealed.subspan(nonce_size);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          raw(plain.fill()), nullptr, nullptr, raw(ciphertext), ciphertext.size(), raw(associated),
          associated.size(), raw(sealed.first(nonce_size)), raw(key.expose())) != 0) {
    return reject(Rejection::forged);
  }
  return plain;
}

BoxPublic box_public(const BoxSecret& secret) {
  BoxPublic point;
  crypto_scalarmult_base(raw(std::span(point)), raw(secret.expose()));
  return point;
}

Bytes box_seal(const BoxPublic& to, BytesView plain) {
  Bytes sealed(plain.size() + box_overhead);
  // fails only for a public key of small order
  if (crypto_box_seal(raw(std::span(sealed)), raw(plain), plain.size(), raw(BytesView(to))) != 0) {
    throw std::invalid_argument("a sealing key of small order");
  }
  return sealed;
}

Checked<SecretBytes> box_open(const BoxSecret& secret, BytesView sealed) {
  if (sealed.size() < box_overhead) return reject(Rejection::forged);
  const auto point = box_public(secret);
  SecretBytes plain(sealed.size() - box_overhead);
  if (crypto_box_seal_open(raw(plain.fill()), raw(sealed), sealed.size(), raw(BytesView(point)),
                           raw(secret.expose())) != 0) {
    return reject(Rejection::forged);
  }
  return plain;
}

}  // namespace ticket::crypto
