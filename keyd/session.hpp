// One TLS connection to the front.
#pragma once

#include <boost/asio/ip/tcp.hpp>

namespace keyd {

class Front;

// Serves the peer until it leaves, times out or misbehaves. `front` must outlive
// the event loop's run.
void start_session(Front& front, boost::asio::ip::tcp::socket socket);

}  // namespace keyd
