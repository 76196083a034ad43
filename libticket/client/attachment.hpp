// A client attached to an SSL_CTX: what happens at each of its connections.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/client.hpp"

namespace ticket::client {

// Attaches, or attaches anew. False when OpenSSL has no memory. `server`: where the
// SSL_CTX's connections go, for who cannot call prepare(): it is then done when the
// handshake starts, if that names the same host.
bool attach(const std::shared_ptr<Client>& client, SSL_CTX* ctx, const std::string& partition,
            std::optional<Server> server = std::nullopt);

// Looks for a session, and gives it to the connection. False when the connection is not of
// an SSL_CTX that this client is attached to, or OpenSSL has no memory.
bool prepare(const Client* client, SSL* ssl, const Server& server);

// What the connection offers as application protocols; see Target::alpn.
bool note_alpn(SSL* ssl, std::string_view list);

struct ConnectionReport {
  Server server;
  Pool pool;
  bool offered = false;
  std::optional<Server> ticket_of;
  bool ended = false, resumed = false;
  Verdict why = Verdict::none;  // why nothing was offered; yes when it was
};
std::optional<ConnectionReport> report(const SSL* ssl);

}  // namespace ticket::client
