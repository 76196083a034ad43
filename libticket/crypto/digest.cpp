#include "crypto/digest.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

#include <memory>
#include <stdexcept>

namespace ticket::crypto {

Sha256 sha256(BytesView bytes) {
  Sha256 hash;
  crypto_hash_sha256(raw(std::span(hash)), raw(bytes), bytes.size());
  return hash;
}

namespace {

struct Free {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

}  // namespace

void hkdf_expand(BytesView key, BytesView info, std::span<std::byte> out) {
  // fetched once: a fetch costs more than the derivation
  static const std::unique_ptr<EVP_KDF, Free> hkdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, Free> context(hkdf ? EVP_KDF_CTX_new(hkdf.get()) : nullptr);
  if (!context) throw std::runtime_error("OpenSSL has no HKDF");

  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(key.data()),
                                        key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<std::byte*>(info.data()),
                                        info.size()),
      OSSL_PARAM_construct_end(),
  };
  if (EVP_KDF_derive(context.get(), raw(out), out.size(), parameters) != 1) {
    throw std::runtime_error("OpenSSL failed to derive a key by HKDF");
  }
}

}  // namespace ticket::crypto
