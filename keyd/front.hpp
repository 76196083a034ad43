// The process that talks: listeners, connections, who waits for what. It holds
// no secret of any pool.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <map>
#include <memory>

#include "base/clock.hpp"
#include "crowd.hpp"
#include "front_metrics.hpp"
#include "issuer_listener.hpp"
#include "peer.hpp"
#include "records.hpp"
#include "status_listener.hpp"
#include "upstream.hpp"

namespace keyd {

// What connections go by: replaced as a whole, so one that has begun keeps its own.
struct FrontConfig {
  std::shared_ptr<boost::asio::ssl::context> tls;
  std::vector<FrontPool> pools;
  std::vector<PoolRules> rules;
};

// One thread: that of the event loop.
class Front {
 public:
  struct LongPoll {
    Seen member;
    std::uint64_t after;  // it waits for a generation above this
    boost::asio::steady_timer* wake;
  };
  using LongPolls = std::list<LongPoll>;

  static constexpr std::size_t most_strangers = 512;
  static constexpr std::size_t most_of_one = 16;  // connections with one certificate

  explicit Front(boost::asio::io_context& context);

  // Takes over a configuration, or throws std::runtime_error and stays as it was.
  // Listens where the first one says.
  void set_up(const Setup& setup);
  // Certificate and key from their files again; what is wrong goes to the log.
  void reload_certificate();
  std::vector<std::string> endpoints() const;
  void serve(Upstream& upstream) {
    upstream_ = &upstream;
    issuers_.serve(upstream);
  }
  // Who minds the stores of what was spent; without, no epoch is recorded in one.
  void mind(Records& records) { records_ = &records; }
  void make_sentinel(const MakeSentinel& sentinel);
  // What the keeper says of itself, for /metrics and the status page.
  void report(Report report) { report_ = std::move(report); }
  // The wall clock is right from now on, as it stands; no window of a budget ends by that.
  void accept_clock();
  // No new connections; those that wait are answered.
  void stop();

  std::shared_ptr<const FrontConfig> config() const { return config_; }
  Upstream& upstream() { return *upstream_; }
  ticket::Moment now() const { return clock_.now(); }
  FrontCounts& counts() { return counts_; }

  // Connections that have not shown an accepted certificate: few, the oldest
  // closed first, by the function given here.
  Crowd::Place admit(std::function<void()> close);
  void proven(Crowd::Place stranger) { strangers_.leave(stranger); }
  // Connections of one certificate, by its tbs_hash(): fewer still.
  Crowd::Place enter(const std::string& certificate, std::function<void()> close);
  void leave(const std::string& certificate, Crowd::Place visit);

  // Members that wait for a pool's next generation: woken by changed(), and
  // reported as seen as long as they wait.
  LongPolls::iterator hold(LongPoll poll);
  void release(LongPolls::iterator poll) { long_polls_.erase(poll); }
  // The keeper hears of a member at most ten times a second, however often it asks.
  void sighted(Seen member);
  void changed(const std::string& pool);

 private:
  void listen(const Setup& setup);
  boost::asio::awaitable<void> accept(boost::asio::ip::tcp::acceptor& acceptor);
  boost::asio::awaitable<void> report_held();
  boost::asio::awaitable<void> report_sighted();
  FrontSight sight() const;
  StatusListener::Pages pages();

  boost::asio::io_context& context_;
  ticket::SystemClock clock_;
  Upstream* upstream_ = nullptr;
  Setup setup_;
  std::shared_ptr<const FrontConfig> config_;
  std::list<boost::asio::ip::tcp::acceptor> acceptors_;
  Crowd strangers_{most_strangers};
  std::map<std::string, Crowd> visits_;  // by certificate; none of them is empty
  LongPolls long_polls_;
  std::map<std::pair<std::string, std::string>, Seen> sighted_;  // by pool and name; not told yet
  FrontCounts counts_;
  Report report_;
  ticket::sys_seconds started_;
  MetricsDoor metrics_;
  IssuerListeners issuers_;
  Records* records_ = nullptr;
  bool stopping_ = false;
};

// The whole process, its keeper behind `socket`. Returns the exit status.
int run_front(int socket);

}  // namespace keyd
