#include "client_cas.hpp"

#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ticket::openssl {

namespace {

using Digest = ClientCas::Digest;

Digest sha256(const void* bytes, std::size_t size) {
  Digest digest;
  SHA256(static_cast<const unsigned char*>(bytes), size, digest.data());
  return digest;
}

// In any order, each once.
Digest digest_of(std::vector<Digest> all) {
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return sha256(all.data(), all.size() * sizeof(Digest));
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

Digest digest_of(X509_STORE* store) {
  std::vector<Digest> believed;
  if (store == nullptr) return digest_of(std::move(believed));
  const Locked lock(store);
  const STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    const X509* certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
    Digest digest;
    if (certificate != nullptr &&
        X509_digest(certificate, EVP_sha256(), digest.data(), nullptr) == 1) {
      believed.push_back(digest);
    }
  }
  return digest_of(std::move(believed));
}

Digest digest_of(const STACK_OF(X509_NAME) * names) {
  std::vector<Digest> told;
  for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
    const unsigned char* der = nullptr;
    std::size_t size = 0;
    if (X509_NAME_get0_der(sk_X509_NAME_value(names, i), &der, &size) != 1) continue;
    told.push_back(sha256(der, size));
  }
  return digest_of(std::move(told));
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

struct ClientCasRecord::Seen {
  const X509_STORE* store;
  const STACK_OF(X509_NAME) * names;
  int count;
  ClientCas cas;
  std::unique_ptr<const Seen> before;  // connections may still be reading it
};

ClientCasRecord::~ClientCasRecord() { delete seen_.load(); }

void ClientCasRecord::look(const SSL_CTX* host) {
  auto* store = store_of(host);
  const auto* names = SSL_CTX_get_client_CA_list(host);
  auto seen = std::make_unique<Seen>(Seen{store, names, sk_X509_NAME_num(names), {}, nullptr});
  seen->cas.believed = digest_of(store);
  tell_names(seen->cas, names);
  const auto* last = seen_.load(std::memory_order_relaxed);
  const bool same = last != nullptr && last->store == seen->store && last->names == seen->names &&
                    last->count == seen->count && last->cas.digest == seen->cas.digest;
  if (same) return;
  seen->before.reset(last);
  seen_.store(seen.release(), std::memory_order_release);
}

void ClientCasRecord::tell(ClientCas& cas) const {
  const auto* seen = seen_.load(std::memory_order_acquire);
  cas.believed = seen->cas.believed;
  cas.digest = seen->cas.digest;
}

bool ClientCasRecord::tell(ClientCas& cas, const SSL_CTX* host,
                           const STACK_OF(X509_NAME) * names) const {
  const auto* seen = seen_.load(std::memory_order_acquire);
  if (store_of(host) != seen->store) return false;
  cas.believed = seen->cas.believed;
  cas.digest = seen->cas.digest;
  if (names != seen->names || sk_X509_NAME_num(names) != seen->count) tell_names(cas, names);
  return true;
}

void tell_cas(ClientCas& cas, const SSL_CTX* host, const STACK_OF(X509_NAME) * names) {
  const auto* record = record_of(host);
  if (record != nullptr && record->tell(cas, host, names)) return;
  cas.believed = digest_of(store_of(host));
  tell_names(cas, names);
}

void tell_names(ClientCas& cas, const STACK_OF(X509_NAME) * names) {
  const Digest both[] = {cas.believed, digest_of(names)};
  cas.digest = sha256(both, sizeof both);
}

const ClientCasRecord* record_of(const SSL_CTX* host) {
  const auto* record = static_cast<const Record*>(SSL_CTX_get_ex_data(host, record_index()));
  return record == nullptr ? nullptr : record->get();
}

Record keep_record(SSL_CTX* host) {
  static std::mutex mutex;  // two ports may name one host
  const std::lock_guard guard(mutex);
  if (const auto* kept = static_cast<Record*>(SSL_CTX_get_ex_data(host, record_index()))) {
    (*kept)->look(host);  // anew: a CA may have come under the same list
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
