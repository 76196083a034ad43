// A connection to a Redis, kept up: Asio around a ticket::replay::RedisSession. And the two
// who use one: the agent, which claims, and the front, which makes sentinels and watches
// them.
#pragma once

#include <spdlog/common.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent_backoff.hpp"
#include "replay/redis_claims.hpp"
#include "replay/redis_sentinels.hpp"

namespace keyd {

// Not shared between threads.
class RedisLink : public std::enable_shared_from_this<RedisLink> {
 public:
  using Log = std::function<void(spdlog::level::level_enum, const std::string&)>;

  // `address`: a path, or HOST:PORT. `tick`: how often deadlines are looked at while
  // something is asked. `session` must live until stop() was called.
  RedisLink(boost::asio::io_context& context, std::string address,
            ticket::replay::RedisSession& session, std::chrono::milliseconds tick, Log log);

  void start();
  // Ends the connection: what was asked is answered. Nothing of the session is used later.
  void stop();
  // The session has something to send: it goes out with all that this turn of the loop adds.
  void flush();

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;

  boost::asio::awaitable<void> run(std::shared_ptr<RedisLink> self);
  boost::asio::awaitable<void> talk();
  boost::asio::awaitable<void> connect();
  boost::asio::awaitable<void> connect_to(boost::asio::generic::stream_protocol::endpoint endpoint);
  void write();
  void tick();
  void end(const std::string& why);
  void tell();
  void log(spdlog::level::level_enum level, const std::string& text) const;

  boost::asio::io_context& context_;
  std::string address_;
  ticket::replay::RedisSession* session_;  // nullptr: stopped
  std::chrono::milliseconds tick_;
  Log log_;
  std::unique_ptr<Socket> socket_;
  boost::asio::steady_timer pause_, timer_;
  std::chrono::steady_clock::time_point connect_until_;
  bool connecting_ = false, ready_ = false, writing_ = false, posted_ = false;
  unsigned connection_ = 0;  // which one, for what ends late
  std::string sending_;
  Backoff backoff_;
  std::string told_;                   // the last trouble
  std::vector<std::string> warnings_;  // that were told
};

// The agent's: claims in one Redis. Must not end within a callback.
class RedisClaimer {
 public:
  RedisClaimer(boost::asio::io_context& context, const std::string& address,
               const ticket::replay::RedisOptions& options, RedisLink::Log log);
  ~RedisClaimer();

  // `done` is called once, perhaps before this returns.
  void claim(const ticket::replay::RedisEpoch& epoch, const ticket::replay::Location& location,
             const ticket::replay::ClaimId& claim_id, ticket::replay::RedisClaims::Done done);
  bool ready() const { return claims_.takes_claims(); }
  const std::string& why() const { return claims_.why(); }  // it is not
  // What Redis last said that was an error; on one line.
  const std::string& last_error() const { return claims_.last_error(); }

 private:
  ticket::replay::RedisClaims claims_;
  std::shared_ptr<RedisLink> link_;
};

// The front's: the sentinels of a pool's epochs.
class RedisWatch {
 public:
  RedisWatch(boost::asio::io_context& context, const std::string& address,
             const ticket::replay::RedisOptions& options, RedisLink::Log log,
             ticket::replay::RedisSentinels::Lost lost);
  ~RedisWatch();

  // As RedisSentinels has them.
  void make(const ticket::replay::RedisEpoch& epoch, ticket::sys_seconds redeems_until,
            ticket::replay::RedisSentinels::Made made);
  void watch(const ticket::replay::RedisEpoch& epoch) { sentinels_.watch(epoch); }
  void forget(const ticket::replay::EpochId& epoch) { sentinels_.forget(epoch); }
  bool ready() const { return sentinels_.ready(); }

 private:
  ticket::replay::RedisSentinels sentinels_;
  std::shared_ptr<RedisLink> link_;
};

}  // namespace keyd
