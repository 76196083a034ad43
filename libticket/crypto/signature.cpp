#include "crypto/signature.hpp"

#include <sodium.h>

namespace ticket::crypto {

namespace {

static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_PUBLICKEYBYTES == 32 &&
              crypto_sign_BYTES == 64);

// libsodium's secret key is seed | public key.
Secret<crypto_sign_SECRETKEYBYTES> expand(const SignerSeed& seed, SignerPublic& signer) {
  Secret<crypto_sign_SECRETKEYBYTES> secret;
  crypto_sign_seed_keypair(raw(std::span(signer)), raw(secret.fill()), raw(seed.expose()));
  return secret;
}

}  // namespace

SignerPublic signer_public(const SignerSeed& seed) {
  SignerPublic signer;
  expand(seed, signer);
  return signer;
}

Signature sign(const SignerSeed& seed, BytesView message) {
  SignerPublic signer;
  const auto secret = expand(seed, signer);
  Signature signature;
  crypto_sign_detached(raw(std::span(signature)), nullptr, raw(message), message.size(),
                       raw(secret.expose()));
  return signature;
}

bool verify(const SignerPublic& signer, BytesView message, const Signature& signature) {
  return crypto_sign_verify_detached(raw(BytesView(signature)), raw(message), message.size(),
                                     raw(BytesView(signer))) == 0;
}

}  // namespace ticket::crypto
