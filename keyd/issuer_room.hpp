// What the connections of one issuer share.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "crowd.hpp"
#include "issuer_desk.hpp"

namespace keyd {

// What connections go by: replaced as a whole, so one that has begun keeps its own.
struct IssuerTerms {
  std::shared_ptr<boost::asio::ssl::context> tls;  // nullptr: plain HTTP
  std::string attest_ca;                           // PEM
};

// Outlives its listener while connections end. One thread.
struct IssuerRoom : std::enable_shared_from_this<IssuerRoom> {
  static constexpr std::size_t most_strangers = 256;  // who have not been attested yet
  static constexpr std::size_t most_clients = 1024;   // connections of those who were
  static constexpr std::size_t most_of_one = 32;      // of one of them

  IssuerRoom(boost::asio::ip::tcp::acceptor listening, std::shared_ptr<IssuerDesk> answers,
             std::shared_ptr<const IssuerTerms> by, const ticket::Clock& time)
      : acceptor(std::move(listening)),
        pause(acceptor.get_executor()),
        desk(std::move(answers)),
        terms(std::move(by)),
        clock(time) {}

  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::steady_timer pause;
  std::shared_ptr<IssuerDesk> desk;
  std::shared_ptr<const IssuerTerms> terms;
  const ticket::Clock& clock;
  // For one connection more than there may be, the oldest is closed.
  Crowd strangers{most_strangers}, clients{most_clients};
  std::map<std::string, Crowd> of_one;  // by client; none of them is empty
  bool closed = false;
};

}  // namespace keyd
