#include "listening.hpp"

#include <boost/asio/io_context.hpp>

namespace keyd {

using boost::asio::ip::tcp;

tcp::acceptor listen_at(boost::asio::io_context& context, const Address& address) {
  try {
    tcp::resolver resolver(context);
    const auto found = resolver.resolve(address.host, address.port, tcp::resolver::passive);
    return tcp::acceptor(context, *found.begin(), /*reuse_addr=*/true);
  } catch (const boost::system::system_error& problem) {
    throw std::runtime_error("cannot listen on " + address.host + ":" + address.port + ": " +
                             problem.code().message());
  }
}

std::string text_of(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address().to_string();
  const auto host = endpoint.address().is_v6() ? "[" + address + "]" : address;
  return host + ":" + std::to_string(endpoint.port());
}

std::string text_of_peer(const tcp::socket& socket) {
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return "unknown";
  return peer.address().to_string() + " port " + std::to_string(peer.port());
}

}  // namespace keyd
