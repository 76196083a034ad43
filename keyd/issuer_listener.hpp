// Where the issuers of the pools answer clients: a listener each, and what becomes of
// them when the configuration is read again.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "front_metrics.hpp"
#include "messages.hpp"
#include "turnstile.hpp"
#include "upstream.hpp"

namespace keyd {

struct IssuerRoom;
struct IssuerTerms;

// One thread: that of the event loop.
class IssuerListeners {
 public:
  // Requests that the keeper works on at once, and that wait for it: it must also do
  // other things.
  static constexpr std::size_t most_signed = 8;
  static constexpr std::size_t most_waiting = 1024;

  // All outlive the loop's run.
  IssuerListeners(boost::asio::io_context& context, const ticket::Clock& clock, FrontCounts& counts)
      : context_(context), clock_(clock), counts_(counts) {}
  ~IssuerListeners();

  // Before the first connection.
  void serve(Upstream& upstream) { upstream_ = &upstream; }

  // In two steps, so that a configuration is taken over whole: prepare() throws
  // std::runtime_error and changes nothing, adopt() does not throw.
  struct Prepared {
    struct One {
      IssuerSetup setup;
      std::shared_ptr<const IssuerTerms> terms;
      std::shared_ptr<IssuerRoom> room;  // nullptr: the one that there is stays
    };
    std::vector<One> issuers;
  };
  Prepared prepare(const std::vector<IssuerSetup>& issuers);
  void adopt(Prepared prepared);
  // The clock was accepted as it was set.
  void move_time(ticket::seconds shift);
  // No new connections.
  void stop();

  // "HOST:PORT" as bound; empty for a pool without issuer.
  std::string endpoint(const std::string& pool) const;
  // Pools that have one.
  std::vector<std::string> pools() const;

 private:
  struct Open {
    IssuerSetup setup;
    std::shared_ptr<IssuerRoom> room;
  };
  Prepared::One prepare_one(const IssuerSetup& setup);

  boost::asio::io_context& context_;
  const ticket::Clock& clock_;
  FrontCounts& counts_;
  Upstream* upstream_ = nullptr;
  Turnstile keeper_{most_signed, most_waiting};
  std::map<std::string, Open> open_;  // by pool
};

}  // namespace keyd
