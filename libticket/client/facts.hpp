// What OpenSSL tells of a connection: how it verifies its server, what it allows, and what
// its handshake came to.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "client/may_offer.hpp"

namespace ticket::client {

// A server that is verified otherwise than by names and a chain to whom its SSL_CTX trusts,
// such as by DANE or a stapled OCSP response, or DTLS: nothing is to be offered to it, and
// nothing of it kept.
bool is_strange(SSL* ssl);

VerifySettings verify_settings(SSL* ssl);

// All but the application protocols: OpenSSL shows those to nobody.
Target target_of(SSL* ssl, const Server& server);

// What its full handshake with a server of this name, begun then, proved.
Lineage full_handshake(SSL* ssl, const Server& server, sys_seconds begun);

// The application protocol that was agreed on; empty = none.
std::string agreed_protocol(const SSL* ssl);

// Whether two sessions have one ticket.
bool same_ticket(const SSL_SESSION* one, const SSL_SESSION* other);

}  // namespace ticket::client
