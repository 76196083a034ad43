// HTTPS to keyd: TLS 1.3 with a client certificate, one connection that is kept.
// A server must chain to the configured CA and have the role of a keyd or a
// relay; its host name does not matter, since no other party has that role.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent_metrics.hpp"
#include "agent_pool.hpp"
#include "config.hpp"

namespace keyd {

// Not shared between threads.
class AgentClient {
 public:
  // `ca`: PEM. Throws std::runtime_error when OpenSSL takes not all of it. `clock`
  // must outlive it.
  AgentClient(boost::asio::any_io_executor executor, const ticket::Clock& clock,
              std::vector<Address> servers, const Identity& identity, const std::string& ca);
  ~AgentClient();

  // Sends one request, connecting first where needed: to each server in turn,
  // beginning with the one that last worked. Throws std::runtime_error that
  // names the server; every step is bounded in time, the answer in size (4 MiB).
  boost::asio::awaitable<Reply> exchange(const Request& request);

  // Drops the connection; the next request goes to the next server.
  void next_server();
  // Ends what is under way: exchange() throws.
  void close();

  // One a server, in the configuration's order.
  const std::vector<ServerTally>& tallies() const { return tallies_; }

 private:
  struct Connection;
  struct Tls;

  boost::asio::awaitable<void> connect();
  boost::asio::awaitable<void> connect_to(const Address& server);

  boost::asio::any_io_executor executor_;
  const ticket::Clock& clock_;
  std::vector<Address> servers_;
  std::vector<ServerTally> tallies_;
  std::size_t current_ = 0;
  std::unique_ptr<Tls> tls_;
  std::shared_ptr<Connection> connection_;
  bool connected_ = false;
  bool closed_ = false;
};

}  // namespace keyd
