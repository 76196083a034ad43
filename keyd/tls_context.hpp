// How the front speaks TLS. With agents: version 1.3 only, and only with those whose
// certificate a CA of its clients vouches for. With an issuer's clients: 1.2 too, and a
// certificate is theirs to show.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "crypto/certificate.hpp"

namespace keyd {

// Reads the chain and key from their files. Throws std::runtime_error naming the
// file and what is wrong with it.
std::shared_ptr<boost::asio::ssl::context> make_tls_context(const std::string& certificate,
                                                            const std::string& key,
                                                            const std::string& clients_ca_pem);

// For an issuer. Clients are asked for a certificate when `attest_ca_pem` is not empty;
// what it is worth is for the caller to look at.
std::shared_ptr<boost::asio::ssl::context> make_issuer_tls_context(
    const std::string& certificate, const std::string& key, const std::string& attest_ca_pem);

// What the peer of a server has shown, leaf first; empty when nothing.
std::vector<ticket::crypto::Certificate> peer_chain(SSL* connection);

}  // namespace keyd
