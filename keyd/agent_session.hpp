// One configuration of the agent at work: for each pool a life, a connection to
// keyd, and a timer. A reload makes another session and ends this one.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent_metrics.hpp"
#include "base/clock.hpp"
#include "config.hpp"
#include "feeders.hpp"
#include "ring/ring_file.hpp"
#include "token_office.hpp"

namespace keyd {

class PoolRunner;

// A ring file has one writer, so a reload hands it on.
struct OpenRing {
  std::string pool;
  std::shared_ptr<ticket::ring::RingWriter> writer;
};
using OpenRings = std::map<std::filesystem::path, OpenRing>;

class AgentSession {
 public:
  // Reads certificates and state, opens ring files or takes them over from `before`;
  // nothing runs and no ring changes yet. Throws std::runtime_error naming what is wrong.
  // `clock` must outlive it; `changed` is called when settled() may have changed.
  AgentSession(boost::asio::io_context& context, const ticket::Clock& clock, AgentConfig config,
               const AgentSession* before, std::function<void()> changed);
  ~AgentSession();

  void start();  // publishes what is stored, then asks keyd
  // What `next` has taken over goes on. Of pools that it leaves, what is stored is removed;
  // files of keys that it leaves are told in the log.
  void stop(const AgentSession* next = nullptr);
  void tick();  // at least once a second

  // Each pool has a ring, or has asked keyd once.
  bool settled() const;
  const OpenRings& rings() const { return rings_; }
  const AgentConfig& config() const { return config_; }
  // Each pool as it is now; reads the ring and counters files.
  std::vector<PoolSight> look(ticket::Moment now) const;
  FeedSight feeds() const { return feeders_->look(); }
  std::vector<TokenSight> tokens() const;

 private:
  std::shared_ptr<PoolRunner> make_runner(boost::asio::io_context& context,
                                          const ticket::Clock& clock, const AgentPool& pool,
                                          const std::string& ca, const OpenRings& inherited);
  OpenRing open_ring(const AgentPool& pool, const OpenRings& inherited);
  std::filesystem::path state_of(const std::string& pool) const { return config_.state_dir / pool; }
  void tell_of_left_files(const AgentSession& next) const;
  void tell_of_left_state() const;
  void forget_left_pools(const AgentSession& next) const;
  void open_offices(boost::asio::io_context& context, const ticket::Clock& clock,
                    const RingWriters& rings, const AgentSession* before);

  AgentConfig config_;
  std::function<void()> changed_;
  OpenRings rings_;
  std::vector<std::shared_ptr<PoolRunner>> runners_;
  std::unique_ptr<Feeders> feeders_;
  TokenOffices offices_;
};

}  // namespace keyd
