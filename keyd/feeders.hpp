// The servers without our plugin that one configuration of the agent feeds.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <vector>

#include "config.hpp"
#include "haproxy_feed.hpp"
#include "ring/ring_file.hpp"
#include "ticket_key_file.hpp"

namespace keyd {

// By the pool's name.
using RingWriters = std::map<std::string, std::shared_ptr<ticket::ring::RingWriter>>;

class Feeders {
 public:
  // Writes nothing yet. `clock` must outlive it.
  Feeders(boost::asio::io_context& context, const ticket::Clock& clock, const AgentConfig& config,
          RingWriters rings);
  ~Feeders();

  void start();
  void stop();
  void tick();  // at least once a second, and when a ring has changed
  FeedSight look() const;

 private:
  struct Target {  // a section of the configuration: first its files, then who is told
    std::shared_ptr<ticket::ring::RingWriter> ring;
    std::unique_ptr<TicketKeyFile> file;
    std::vector<std::shared_ptr<HaproxyFeed>> haproxy;
  };
  Target make(boost::asio::io_context& context, const HaproxyConfig& config) const;
  Target make(const KeyFileConfig& config) const;

  const ticket::Clock& clock_;
  RingWriters rings_;
  std::vector<Target> targets_;
};

}  // namespace keyd
