// How the front speaks TLS: version 1.3 only, and only with those whose
// certificate a CA of its clients vouches for.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace keyd {

// Reads the chain and key from their files. Throws std::runtime_error naming the
// file and what is wrong with it.
std::shared_ptr<boost::asio::ssl::context> make_tls_context(const std::string& certificate,
                                                            const std::string& key,
                                                            const std::string& clients_ca_pem);

}  // namespace keyd
