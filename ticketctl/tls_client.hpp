// A TLS client for looking at servers: one connection, one version, one ticket.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "endpoint.hpp"
#include "shake.hpp"

namespace ticketctl {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;

struct ClientOptions {
  std::filesystem::path certificate, key;  // of the client; empty = it shows none
  std::filesystem::path ca;                // empty = certificates are not verified
  std::chrono::milliseconds timeout{5000};
};

// May be shared between threads.
class TlsClient {
 public:
  // Throws CommandError (usage) naming the file that cannot be used.
  TlsClient(TlsVersion version, const ClientOptions& options);

  struct Visit {
    Shake shake;
    std::vector<Session> sessions;  // that can be offered from now on
  };
  // Connects, sends `HEAD /` (some servers send their tickets only with an answer),
  // reads what comes, closes. `name` for SNI, empty for none; `offered` may be null.
  Visit visit(const Endpoint& server, const std::string& name, SSL_SESSION* offered) const;

 private:
  TlsVersion version_;
  ClientOptions options_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

}  // namespace ticketctl
