// By whose word a host takes client certificates: what a session with one is worth
// elsewhere.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <atomic>
#include <memory>

namespace ticket::openssl {

struct ClientCas {
  using Digest = std::array<unsigned char, 32>;

  bool asked = false;     // a client certificate is asked for
  bool demanded = false;  // and nothing is served without one
  Digest digest{};        // of the CAs; zero where none is asked for
};

// SHA-256 of what an SSL_CTX's store believes and of the names that clients are told: two
// CAs may have one name. In any order, each once; names may be NULL. Throws std::bad_alloc.
ClientCas::Digest digest_of(const SSL_CTX* host, const STACK_OF(X509_NAME) * names);

// What an SSL_CTX asks of clients, looked at ahead and kept with it: handshakes allocate
// nothing, and what its store takes in as it verifies clients (from a folder of CAs) changes
// nothing. For any thread.
class ClientCasRecord {
 public:
  ~ClientCasRecord();
  // Throws std::bad_alloc. Not two threads at once.
  void look(const SSL_CTX* host);
  // Nothing is served without a certificate, though OpenSSL asks for one alone.
  void demand(bool demanded) { demanded_.store(demanded, std::memory_order_relaxed); }
  bool demanded() const { return demanded_.load(std::memory_order_relaxed); }

  // As it was looked at.
  const ClientCas::Digest& digest() const;
  // Does that hold? Not when its store or its list was replaced since, or the list grew.
  bool stands_for(const SSL_CTX* host, const STACK_OF(X509_NAME) * names) const;

 private:
  struct Seen;
  std::atomic<const Seen*> seen_{nullptr};
  std::atomic<bool> demanded_{false};
};

// The record of an SSL_CTX; nullptr: it has none.
const ClientCasRecord* record_of(const SSL_CTX* host);
// The same, made where there is none, and looked at where it does not hold. Throws when
// OpenSSL fails. Not while other threads use the SSL_CTX.
std::shared_ptr<ClientCasRecord> keep_record(SSL_CTX* host);

}  // namespace ticket::openssl
