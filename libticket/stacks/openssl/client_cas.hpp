// By whose word a host takes client certificates: what a session with one is worth
// elsewhere.
#pragma once

#include <openssl/ssl.h>

#include <array>

namespace ticket::openssl {

struct ClientCas {
  using Digest = std::array<unsigned char, 32>;

  bool asked = false;     // a client certificate is asked for
  bool demanded = false;  // and nothing is served without one
  Digest digest{};        // of the CAs; zero where none is asked for
};

// SHA-256 of what an SSL_CTX's store believes and of the names that clients are told: two
// CAs may have one name. In any order, each once; names may be NULL. Throws std::bad_alloc.
ClientCas::Digest digest_of(const SSL_CTX* context, const STACK_OF(X509_NAME) * names);

// The digest of an SSL_CTX as it is now, good until its store or list is replaced:
// handshakes allocate nothing.
class CaDigest {
 public:
  explicit CaDigest(const SSL_CTX* context);
  bool stands_for(const SSL_CTX* context, const STACK_OF(X509_NAME) * names) const;
  const ClientCas::Digest& digest() const { return digest_; }

 private:
  const X509_STORE* store_;
  const STACK_OF(X509_NAME) * names_;
  int count_;
  ClientCas::Digest digest_;
};

}  // namespace ticket::openssl
