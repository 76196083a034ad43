#include "agent.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "agent_session.hpp"
#include "log.hpp"
#include "process.hpp"
#include "status_listener.hpp"

namespace keyd {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// How often heartbeats are written and expired keys looked for.
constexpr auto tick_every = 500ms;
constexpr auto status_every = 2s;  // systemd's line about us

class Agent {
 public:
  explicit Agent(AgentConfig config)
      : file_(config.file),
        signals_(context_, SIGTERM, SIGINT, SIGHUP),
        timer_(context_),
        metrics_(context_, pages()) {
    std::signal(SIGPIPE, SIG_IGN);
    auto door = metrics_.prepare(config.metrics);
    session_ = make_session(std::move(config));
    metrics_.adopt(std::move(door));
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
  // Takes over what the session before has.
  std::unique_ptr<AgentSession> make_session(AgentConfig config) {
    return std::make_unique<AgentSession>(context_, clock_, std::move(config), session_.get(),
                                          [this] { tell_ready(); });
  }

  StatusListener::Pages pages() {
    return {.metrics = [this] { return write_agent_metrics(look(), clock_.now()); },
            .status = [this] { return agent_page(look(), clock_.now()); }};
  }

  AgentSight look() const {
    return {.pools = session_->look(clock_.now()),
            .started = started_,
            .clock_apart = clock_.now().apart,
            .feeds = session_->feeds(),
            .tokens = session_->tokens()};
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
      auto config = read_agent_config(file_);
      auto door = metrics_.prepare(config.metrics);
      auto next = make_session(std::move(config));
      session_->stop(next.get());
      session_ = std::move(next);
      metrics_.adopt(std::move(door));
      set_log_level(session_->config().log_level);
      set_log_format(session_->config().log_format);
      spdlog::info("configuration reloaded from {}", file_.string());
      session_->start();
    } catch (const std::exception& error) {
      spdlog::error("configuration not reloaded, the old one stays: {}", error.what());
    }
    notifier_.ready();
  }

  void tick() {
    session_->tick();
    tell_systemd();
    timer_.expires_after(std::min<std::chrono::milliseconds>(
        tick_every, notifier_.alive_every().value_or(tick_every)));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) tick();
    });
  }

  // From the loop that does the work, so a loop that hangs is noticed.
  void tell_systemd() {
    using std::chrono::steady_clock;
    const auto now = steady_clock::now();
    if (notifier_.alive_every() && now >= next_alive_) {
      notifier_.alive();
      next_alive_ = now + *notifier_.alive_every();
    }
    if (!notifier_.heard() || !told_ready_ || now < next_status_) return;
    next_status_ = now + status_every;
    try {
      notifier_.status(agent_summary(session_->look(clock_.now())));
    } catch (const std::exception& error) {  // not worth dying for
      notifier_.status(std::string("cannot look at the rings: ") + error.what());
    }
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
  MetricsDoor metrics_;
  ticket::sys_seconds started_ = clock_.now().latest;
  Notifier notifier_;
  std::unique_ptr<AgentSession> session_;
  bool told_ready_ = false;
  std::chrono::steady_clock::time_point next_alive_{}, next_status_{};
};

}  // namespace

int run_agent(const std::filesystem::path& config_file) {
  auto config = read_agent_config(config_file);
  start_log("agent", config.log_level);
  set_log_format(config.log_format);
  harden_process();
  if (const auto problem = lock_memory()) spdlog::warn("{}", *problem);
  Agent agent(std::move(config));
  return agent.run();
}

}  // namespace keyd
