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
  Digest believed{};      // of the CAs in the store; zero where none is asked for
  Digest digest{};        // of those, and of the names that clients are told: two CAs may have one
};

// What an SSL_CTX asks of clients, looked at ahead and kept with it: what its store takes in as
// it verifies clients (from a folder of CAs) changes nothing, and handshakes allocate nothing
// unless they tell clients names of their own. For any thread.
class ClientCasRecord {
 public:
  ~ClientCasRecord();
  // Throws std::bad_alloc. Not two threads at once.
  void look(const SSL_CTX* host);
  // Nothing is served without a certificate, though OpenSSL asks for one alone.
  void demand(bool demanded) { demanded_.store(demanded, std::memory_order_relaxed); }
  bool demanded() const { return demanded_.load(std::memory_order_relaxed); }

  // Both digests, as they were looked at.
  void tell(ClientCas& cas) const;
  // As they are where clients are told `names`. False when the store was replaced since. Throws
  // std::bad_alloc.
  bool tell(ClientCas& cas, const SSL_CTX* host, const STACK_OF(X509_NAME) * names) const;

 private:
  struct Seen;
  std::atomic<const Seen*> seen_{nullptr};
  std::atomic<bool> demanded_{false};
};

// Both digests of an SSL_CTX of which clients are told `names`, which may be NULL: of what its
// record says, or of the store as it is now. Throws std::bad_alloc.
void tell_cas(ClientCas& cas, const SSL_CTX* host, const STACK_OF(X509_NAME) * names);
// The second one again, when the first is known.
void tell_names(ClientCas& cas, const STACK_OF(X509_NAME) * names);

// The record of an SSL_CTX; nullptr: it has none.
const ClientCasRecord* record_of(const SSL_CTX* host);
// The same, made where there is none, and looked at. Throws when OpenSSL fails. Not while other
// threads use an SSL_CTX that has none yet.
std::shared_ptr<ClientCasRecord> keep_record(SSL_CTX* host);

}  // namespace ticket::openssl
