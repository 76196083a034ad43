// TCP listeners, as the front and the metrics listener open them, and how addresses are named.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "config.hpp"

namespace keyd {

// Throws std::runtime_error naming the address.
boost::asio::ip::tcp::acceptor listen_at(boost::asio::io_context& context, const Address& address);

// "HOST:PORT", "[::1]:7443".
std::string text_of(const boost::asio::ip::tcp::endpoint& endpoint);

// Who is at the other end, for logs: "192.0.2.7 port 4242"; "unknown" when it has left.
std::string text_of_peer(const boost::asio::ip::tcp::socket& socket);

}  // namespace keyd
