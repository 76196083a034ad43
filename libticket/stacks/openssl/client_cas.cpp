#include "client_cas.hpp"

#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <string>
#include <vector>

namespace ticket::openssl {

namespace {

std::string sha256(const unsigned char* bytes, std::size_t size) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes, size, reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

void add_certificates(X509_STORE* store, std::vector<std::string>& believed) {
  const STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    const X509* certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), digest, &size) != 1) {
      continue;
    }
    believed.emplace_back(reinterpret_cast<const char*>(digest), size);
  }
}

void add_names(const STACK_OF(X509_NAME) * names, std::vector<std::string>& told) {
  for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
    const unsigned char* der = nullptr;
    std::size_t size = 0;
    if (X509_NAME_get0_der(sk_X509_NAME_value(names, i), &der, &size) != 1) continue;
    told.push_back(sha256(der, size));
  }
}

// Unlocks also when memory runs out.
class Locked {
 public:
  explicit Locked(X509_STORE* store) : store_(store) { X509_STORE_lock(store_); }
  ~Locked() { X509_STORE_unlock(store_); }
  Locked(const Locked&) = delete;

 private:
  X509_STORE* store_;
};

}  // namespace

ClientCas::Digest digest_of(const SSL_CTX* context, const STACK_OF(X509_NAME) * names) {
  std::vector<std::string> all;
  if (X509_STORE* store = SSL_CTX_get_cert_store(context); store != nullptr) {
    const Locked lock(store);
    add_certificates(store, all);
  }
  add_names(names, all);
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::string text;
  for (const auto& digest : all) text += digest;
  ClientCas::Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

CaDigest::CaDigest(const SSL_CTX* context)
    : store_(SSL_CTX_get_cert_store(context)),
      names_(SSL_CTX_get_client_CA_list(context)),
      count_(sk_X509_NAME_num(names_)),
      digest_(digest_of(context, names_)) {}

bool CaDigest::stands_for(const SSL_CTX* context, const STACK_OF(X509_NAME) * names) const {
  return SSL_CTX_get_cert_store(context) == store_ && names == names_ &&
         sk_X509_NAME_num(names) == count_;
}

}  // namespace ticket::openssl
