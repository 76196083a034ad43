// TCP listeners, as the front and the metrics listener open them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "config.hpp"

namespace keyd {

// Throws std::runtime_error naming the address.
boost::asio::ip::tcp::acceptor listen_at(boost::asio::io_context& context, const Address& address);

// "HOST:PORT", "[::1]:7443".
std::string text_of(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace keyd
