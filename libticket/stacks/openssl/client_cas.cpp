#include "client_cas.hpp"

#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <stdexcept>
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

// By which OpenSSL verifies clients.
X509_STORE* store_of(const SSL_CTX* host) {
  X509_STORE* store = nullptr;
  SSL_CTX_get0_verify_cert_store(const_cast<SSL_CTX*>(host), &store);
  return store != nullptr ? store : SSL_CTX_get_cert_store(host);
}

using Record = std::shared_ptr<ClientCasRecord>;

void host_freed(void*, void* record, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Record*>(record);
}

int record_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, host_freed);
  return index;
}

}  // namespace

ClientCas::Digest digest_of(const SSL_CTX* host, const STACK_OF(X509_NAME) * names) {
  std::vector<std::string> all;
  if (X509_STORE* store = store_of(host); store != nullptr) {
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

struct ClientCasRecord::Seen {
  const X509_STORE* store;
  const STACK_OF(X509_NAME) * names;
  int count;
  ClientCas::Digest digest;
  std::unique_ptr<const Seen> before;  // connections may still be reading it
};

ClientCasRecord::~ClientCasRecord() { delete seen_.load(); }

void ClientCasRecord::look(const SSL_CTX* host) {
  const auto* names = SSL_CTX_get_client_CA_list(host);
  auto seen = std::make_unique<Seen>(
      Seen{store_of(host), names, sk_X509_NAME_num(names), digest_of(host, names), nullptr});
  seen->before.reset(seen_.load(std::memory_order_relaxed));
  seen_.store(seen.release(), std::memory_order_release);
}

const ClientCas::Digest& ClientCasRecord::digest() const {
  return seen_.load(std::memory_order_acquire)->digest;
}

bool ClientCasRecord::stands_for(const SSL_CTX* host, const STACK_OF(X509_NAME) * names) const {
  const auto* seen = seen_.load(std::memory_order_acquire);
  return store_of(host) == seen->store && names == seen->names &&
         sk_X509_NAME_num(names) == seen->count;
}

const ClientCasRecord* record_of(const SSL_CTX* host) {
  const auto* record = static_cast<const Record*>(SSL_CTX_get_ex_data(host, record_index()));
  return record == nullptr ? nullptr : record->get();
}

Record keep_record(SSL_CTX* host) {
  if (const auto* kept = static_cast<Record*>(SSL_CTX_get_ex_data(host, record_index()))) {
    if (!(*kept)->stands_for(host, SSL_CTX_get_client_CA_list(host))) (*kept)->look(host);
    return *kept;
  }
  auto record = std::make_unique<Record>(std::make_shared<ClientCasRecord>());
  (*record)->look(host);
  if (SSL_CTX_set_ex_data(host, record_index(), record.get()) != 1) {
    throw std::runtime_error("OpenSSL keeps no record of an SSL_CTX");
  }
  return *record.release();
}

}  // namespace ticket::openssl
