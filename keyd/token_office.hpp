// A [[tokens]] section at work: the pool's TokenService, its connection to Redis, and who
// asks it: the claims socket, HAProxy, /redeem.
#pragma once

#include <memory>
#include <vector>

#include "config.hpp"
#include "ring/ring_file.hpp"
#include "talk_listener.hpp"
#include "token_service.hpp"

namespace keyd {

class TokenOffice {
 public:
  // Listens at once, but answers nobody before start(). A place where one of `doors` listens
  // is taken over. Throws std::runtime_error naming what is wrong. `clock` must outlive it.
  TokenOffice(boost::asio::io_context& context, const ticket::Clock& clock, AgentTokens config,
              int group, std::shared_ptr<ticket::ring::RingWriter> ring, const OpenDoors& doors);

  ~TokenOffice() { stop(); }
  TokenOffice(const TokenOffice&) = delete;
  TokenOffice& operator=(const TokenOffice&) = delete;

  void start();
  // Ends the connections; the doors stay open while somebody has them.
  void stop();
  void tick();  // at least once a second, and when the ring has changed

  TokenSight sight() const;
  OpenDoors doors() const;
  // Whether it is what this section asks for, as it is.
  bool serves(const AgentTokens& config, const ticket::ring::RingWriter* ring) const {
    return config_ == config && ring_.get() == ring;
  }

 private:
  void listen(boost::asio::io_context& context, const Endpoint& at, int group,
              const OpenDoors& doors, TalkListener::Make make);

  AgentTokens config_;
  std::shared_ptr<ticket::ring::RingWriter> ring_;
  std::unique_ptr<TokenService> service_;
  std::vector<std::shared_ptr<TalkListener>> listeners_;
  bool started_ = false;
};

using TokenOffices = std::vector<std::shared_ptr<TokenOffice>>;

}  // namespace keyd
