#include "agent.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "agent_session.hpp"
#include "log.hpp"
#include "process.hpp"

namespace keyd {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// How often heartbeats are written and expired keys looked for.
constexpr auto tick_every = 500ms;

class Agent {
 public:
  explicit Agent(AgentConfig config)
      : file_(config.file), signals_(context_, SIGTERM, SIGINT, SIGHUP), timer_(context_) {
    std::signal(SIGPIPE, SIG_IGN);
    session_ = make_session(std::move(config), {});
  }

  int run() {
    session_->start();
    await_signal();
    tick();
    tell_ready();
    context_.run();
    return 0;
  }

 private:
  std::unique_ptr<AgentSession> make_session(AgentConfig config, const OpenRings& inherited) {
    return std::make_unique<AgentSession>(context_, clock_, std::move(config), inherited,
                                          [this] { tell_ready(); });
  }

  void await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (signal != SIGHUP) return stop();
      reload();
      await_signal();
    });
  }

  void stop() {
    spdlog::info("ends; the ring files stay");
    notifier_.stopping();
    session_->stop();
    context_.stop();
  }

  // The new session is complete before the old one ends.
  void reload() {
    notifier_.reloading();
    try {
      auto next = make_session(read_agent_config(file_), session_->rings());
      session_->stop();
      session_ = std::move(next);
      set_log_level(session_->config().log_level);
      spdlog::info("configuration reloaded from {}", file_.string());
      session_->start();
    } catch (const std::exception& error) {
      spdlog::error("configuration not reloaded, the old one stays: {}", error.what());
    }
    notifier_.ready();
  }

  void tick() {
    session_->tick();
    timer_.expires_after(tick_every);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) tick();
    });
  }

  void tell_ready() {
    if (told_ready_ || !session_->settled()) return;
    told_ready_ = true;
    notifier_.ready();
  }

  std::filesystem::path file_;
  ticket::SystemClock clock_;
  asio::io_context context_{1};
  asio::signal_set signals_;
  asio::steady_timer timer_;
  Notifier notifier_;
  std::unique_ptr<AgentSession> session_;
  bool told_ready_ = false;
};

}  // namespace

int run_agent(const std::filesystem::path& config_file) {
  auto config = read_agent_config(config_file);
  start_log("agent", config.log_level);
  harden_process();
  if (const auto problem = lock_memory()) spdlog::warn("{}", *problem);
  Agent agent(std::move(config));
  return agent.run();
}

}  // namespace keyd
