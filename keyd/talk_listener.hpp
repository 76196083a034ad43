// Listening sockets, and the connections that come of them, each carrying a Talk.
// Bounded: in connections, in what one may have unread and unsent, in how long it may take
// to finish a record or to read an answer.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "config.hpp"
#include "talk.hpp"

namespace keyd {

// A socket that listens; a configuration that is read again hands it on.
class Door {
 public:
  using Protocol = boost::asio::generic::stream_protocol;
  using Socket = Protocol::socket;

  // Listens at once; a Unix socket gets mode 0660 and `group` (-1 = as it comes), and one
  // that was left over is replaced. Throws std::runtime_error naming the place.
  Door(boost::asio::io_context& context, const Endpoint& at, int group);
  // Removes the Unix socket, if it still is ours.
  ~Door();

  const Endpoint& at() const { return at_; }
  // Throws std::runtime_error.
  void give(int group);
  boost::asio::basic_socket_acceptor<Protocol>& acceptor() { return acceptor_; }

 private:
  Endpoint at_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  std::uint64_t file_ = 0;  // which one, of a Unix socket
};
// By Endpoint::text().
using OpenDoors = std::map<std::string, std::shared_ptr<Door>>;

class TalkListener : public std::enable_shared_from_this<TalkListener> {
 public:
  using Make = std::function<std::shared_ptr<Talk>()>;
  static constexpr std::size_t most_connections = 256;

  TalkListener(std::shared_ptr<Door> door, Make make);

  void start();
  void stop();
  // Ends those that take too long; about once a second.
  void tick();

  std::size_t connections() const { return connections_.size(); }
  const std::shared_ptr<Door>& door() const { return door_; }

 private:
  class Connection;
  using Connections = std::list<std::shared_ptr<Connection>>;

  void accept();
  void admit(Door::Socket socket);
  bool make_room();
  void gone(const Connection* connection);

  std::shared_ptr<Door> door_;
  Make make_;
  Connections connections_;
  bool started_ = false, accepting_ = false;
};

}  // namespace keyd
