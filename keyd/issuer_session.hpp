// One client's connection to an issuer.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

namespace keyd {

struct IssuerRoom;

// Serves the client until it leaves, times out or misbehaves.
void start_issuer_session(std::shared_ptr<IssuerRoom> room, boost::asio::ip::tcp::socket socket);

}  // namespace keyd
