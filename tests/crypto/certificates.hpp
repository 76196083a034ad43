// Certificates for tests, made by OpenSSL alone, with whatever extensions a
// test wants to see accepted or refused.
#pragma once

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "crypto/certificate.hpp"

namespace test {

using ticket::seconds;
using ticket::sys_seconds;
using ticket::crypto::Certificate;
using ticket::crypto::PrivateKey;

inline PrivateKey p256_key() { return PrivateKey(EVP_EC_gen("P-256")); }
inline PrivateKey rsa_key(unsigned bits) { return PrivateKey(EVP_RSA_gen(bits)); }
inline PrivateKey ed25519_key() {
  return PrivateKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

// The same certificate under another signature of its ECDSA key: n - s in the place of s. Who
// has no key of the CA can make it, too.
inline Certificate with_other_signature(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  const unsigned char* begin = der;
  Certificate other(d2i_X509(nullptr, &begin, size));
  OPENSSL_free(der);
  const ASN1_BIT_STRING* signature = nullptr;
  X509_get0_signature(&signature, nullptr, other.get());
  const unsigned char* at = signature->data;
  auto* pair = d2i_ECDSA_SIG(nullptr, &at, signature->length);
  auto* group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  auto* s = BN_dup(ECDSA_SIG_get0_s(pair));
  BN_sub(s, EC_GROUP_get0_order(group), s);
  ECDSA_SIG_set0(pair, BN_dup(ECDSA_SIG_get0_r(pair)), s);
  unsigned char* flipped = nullptr;
  const int length = i2d_ECDSA_SIG(pair, &flipped);
  ASN1_BIT_STRING_set(const_cast<ASN1_BIT_STRING*>(signature), flipped, length);
  OPENSSL_free(flipped);
  ECDSA_SIG_free(pair);
  EC_GROUP_free(group);
  return other;
}

struct Extension {
  int nid;
  std::string value;  // as in openssl.cnf
};

struct Wish {
  std::string name = "leaf";
  std::vector<Extension> extensions;
  sys_seconds from = sys_seconds(seconds(1'700'000'000));
  sys_seconds until = sys_seconds(seconds(1'800'000'000));
};

constexpr sys_seconds when{seconds(1'750'000'000)};  // all is valid then

inline void add_extension(X509* certificate, X509* issuer, const Extension& extension) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  auto* made = X509V3_EXT_nconf_nid(nullptr, &context, extension.nid, extension.value.c_str());
  if (made == nullptr) throw std::runtime_error("bad extension: " + extension.value);
  X509_add_ext(certificate, made, -1);
  X509_EXTENSION_free(made);
}

// Signed by `issuer_key`; `issuer` null: by itself.
inline Certificate certificate(EVP_PKEY* key, const Wish& wish, X509* issuer,
                               EVP_PKEY* issuer_key) {
  Certificate made(X509_new());
  auto* it = made.get();
  X509_set_version(it, X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(it), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(it), wish.from.time_since_epoch().count());
  ASN1_TIME_set(X509_getm_notAfter(it), wish.until.time_since_epoch().count());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(it), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1, 0);
  X509_set_issuer_name(it, X509_get_subject_name(issuer != nullptr ? issuer : it));
  X509_set_pubkey(it, key);
  for (const auto& extension : wish.extensions) {
    add_extension(it, issuer != nullptr ? issuer : it, extension);
  }
  const bool ed25519 = EVP_PKEY_get_base_id(issuer_key) == EVP_PKEY_ED25519;
  if (X509_sign(it, issuer_key, ed25519 ? nullptr : EVP_sha256()) == 0) {
    throw std::runtime_error("cannot sign a test certificate");
  }
  return made;
}

inline Wish ca_wish(const std::string& name) {
  return {name,
          {{NID_basic_constraints, "critical,CA:TRUE"}, {NID_key_usage, "critical,keyCertSign"}}};
}

struct Authority {
  PrivateKey key = p256_key();
  Certificate certificate;

  explicit Authority(const Wish& wish = ca_wish("test CA"))
      : certificate(test::certificate(key.get(), wish, nullptr, key.get())) {}

  Certificate sign(EVP_PKEY* leaf_key, const Wish& wish) const {
    return test::certificate(leaf_key, wish, certificate.get(), key.get());
  }
};

// A leaf with these subjectAltNames ("URI:ticket:keyd,DNS:a"), signed by itself.
inline Certificate with_names(const std::string& names) {
  const auto key = p256_key();
  Wish wish;
  if (!names.empty()) wish.extensions.push_back({NID_subject_alt_name, names});
  return certificate(key.get(), wish, nullptr, key.get());
}

inline std::string pem_of(X509* certificate) {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(out);
  return pem;
}

inline std::string pem_of(EVP_PKEY* key, const char* passphrase = nullptr) {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(out, key, passphrase != nullptr ? EVP_aes_128_cbc() : nullptr, nullptr,
                           0, nullptr, const_cast<char*>(passphrase));
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(out);
  return pem;
}

}  // namespace test
