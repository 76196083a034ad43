#include "front.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "client_manifest.hpp"
#include "keeper_link.hpp"
#include "listening.hpp"
#include "log.hpp"
#include "process.hpp"
#include "redis_records.hpp"
#include "session.hpp"
#include "status_page.hpp"
#include "tls_context.hpp"

namespace keyd {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr auto report_every = 15s;  // "seen in the last minute", with room to spare
constexpr std::size_t most_in_one_report = 1000;

// A loop that ended by an exception would never be missed: end the process, which is
// then begun anew.
auto ended_by(const char* what) {
  return [what](const std::exception_ptr& problem) {
    if (!problem) return;
    spdlog::critical("{} failed", what);
    std::rethrow_exception(problem);
  };
}
constexpr auto last_answers = 300ms;  // what a stopping front still waits for

std::shared_ptr<const FrontConfig> make_config(const Setup& setup) {
  auto config = std::make_shared<FrontConfig>();
  config->tls = make_tls_context(setup.certificate, setup.key, setup.clients_ca);
  config->pools = setup.pools;
  for (const auto& pool : setup.pools) config->rules.push_back({pool.name, pool.rules});
  return config;
}

}  // namespace

Front::Front(asio::io_context& context)
    : context_(context),
      started_(clock_.now().latest),
      metrics_(context, pages()),
      issuers_(context, clock_, counts_) {}

void Front::set_up(const Setup& setup) {
  auto config = make_config(setup);
  auto metrics =
      metrics_.prepare(setup.metrics.empty() ? std::nullopt : std::optional(setup.metrics.front()));
  auto issuers = issuers_.prepare(setup.issuers);
  if (acceptors_.empty()) listen(setup);
  setup_ = setup;
  config_ = std::move(config);
  set_log_level(setup.log_level);
  set_log_format(setup.log_format);
  metrics_.adopt(std::move(metrics));
  issuers_.adopt(std::move(issuers));
  if (records_ != nullptr) records_->configure(setup.issuers);
}

StatusListener::Pages Front::pages() {
  return {.metrics = [this] { return write_front_metrics(sight()); },
          .status = [this] { return authority_page(report_, clock_.now().latest); },
          .manifest =
              [this] {
                const auto lifetime = ticket::seconds(setup_.client_lifetime);
                return client_manifest(setup_.clients, clock_.now().latest + lifetime) + "\n";
              }};
}

FrontSight Front::sight() const {
  FrontSight sight{.report = report_,
                   .counts = counts_,
                   .handshaking = strangers_.size(),
                   .long_polls = {},
                   .started = started_,
                   .issuers = issuers_.pools()};
  for (const auto& poll : long_polls_) ++sight.long_polls[poll.member.pool];
  return sight;
}

void Front::reload_certificate() {
  try {
    auto config = make_config(setup_);
    issuers_.adopt(issuers_.prepare(setup_.issuers));
    config_ = std::move(config);
    spdlog::info("certificate and key were read again");
  } catch (const std::exception& problem) {
    spdlog::error("certificate and key stay as they were: {}", problem.what());
  }
}

void Front::listen(const Setup& setup) {
  std::list<tcp::acceptor> acceptors;
  for (const auto& address : setup.listen) acceptors.push_back(listen_at(context_, address));
  acceptors_ = std::move(acceptors);
  for (auto& acceptor : acceptors_) {
    asio::co_spawn(context_, accept(acceptor), ended_by("accepting connections"));
  }
  asio::co_spawn(context_, report_held(), ended_by("reporting members"));
}

std::vector<std::string> Front::endpoints() const {
  std::vector<std::string> texts;
  for (const auto& acceptor : acceptors_) texts.push_back(text_of(acceptor.local_endpoint()));
  return texts;
}

asio::awaitable<void> Front::accept(tcp::acceptor& acceptor) {
  asio::steady_timer pause(context_);
  while (!stopping_) {
    auto [error, socket] = co_await acceptor.async_accept(as_result);
    if (stopping_) co_return;
    if (!error) {
      ++counts_.accepted;
      try {
        start_session(*this, std::move(socket));
        continue;
      } catch (const std::exception& problem) {  // no memory: it passes
        spdlog::warn("a connection could not be served: {}", problem.what());
      }
    } else {
      spdlog::warn("a connection could not be accepted: {}", error.message());
    }
    pause.expires_after(100ms);  // no descriptor is free: it would fail again at once
    co_await pause.async_wait(as_result);
  }
}

Crowd::Place Front::admit(std::function<void()> close) {
  if (strangers_.full()) counts_.refuse(RefusedConnection::crowded);
  return strangers_.admit(std::move(close));
}

Crowd::Place Front::enter(const std::string& certificate, std::function<void()> close) {
  auto& visits = visits_.try_emplace(certificate, most_of_one).first->second;
  if (visits.full()) counts_.refuse(RefusedConnection::many);
  return visits.admit(std::move(close));
}

void Front::leave(const std::string& certificate, Crowd::Place visit) {
  const auto visits = visits_.find(certificate);
  visits->second.leave(visit);
  if (visits->second.size() == 0) visits_.erase(visits);
}

Front::LongPolls::iterator Front::hold(LongPoll poll) {
  return long_polls_.insert(long_polls_.end(), std::move(poll));
}

void Front::changed(const std::string& pool) {
  const auto* known = upstream_->pool(pool);
  for (const auto& poll : long_polls_) {
    if (poll.member.pool == pool && poll.after < known->generation) poll.wake->cancel();
  }
}

void Front::sighted(Seen member) {
  if (sighted_.empty()) asio::co_spawn(context_, report_sighted(), ended_by("reporting members"));
  auto& place = sighted_[{member.pool, member.member}];
  place = std::move(member);
}

asio::awaitable<void> Front::report_sighted() {
  asio::steady_timer timer(context_, 100ms);
  co_await timer.async_wait(as_result);
  SeenList report;
  for (auto& [name, member] : std::exchange(sighted_, {})) {
    report.members.push_back(std::move(member));
    if (report.members.size() == most_in_one_report) upstream_->seen(std::exchange(report, {}));
  }
  if (!report.members.empty()) upstream_->seen(std::move(report));
}

asio::awaitable<void> Front::report_held() {
  asio::steady_timer timer(context_);
  while (!stopping_) {
    timer.expires_after(report_every);
    co_await timer.async_wait(as_result);
    log_refusal_sums(now().steady);
    SeenList report;
    for (const auto& poll : long_polls_) {
      report.members.push_back(poll.member);
      if (report.members.size() == most_in_one_report) upstream_->seen(std::exchange(report, {}));
    }
    if (!report.members.empty()) upstream_->seen(std::move(report));
  }
}

void Front::make_sentinel(const MakeSentinel& sentinel) {
  if (records_ != nullptr) return records_->make(sentinel);
  upstream_->sentinel_made({sentinel.pool, sentinel.epoch, "nobody minds a store here"});
}

void Front::accept_clock() {
  const auto shift = clock_.now().apart;
  clock_.anchor();
  started_ += shift;
  issuers_.move_time(shift);
}

void Front::stop() {
  stopping_ = true;
  issuers_.stop();
  for (auto& acceptor : acceptors_) acceptor.close();
  for (const auto& poll : long_polls_) poll.wake->cancel();
}

// ---- the process

namespace {

// Whoever ends the service ends the keeper, who then tells us; signals that
// systemd sends to all processes at once are not for us.
void ignore_endings() {
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE}) ::signal(signal, SIG_IGN);
}

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

asio::awaitable<void> reload_on_hangup(asio::io_context& context, Front& front) {
  asio::signal_set hangups(context, SIGHUP);
  for (;;) {
    const auto [error, signal] = co_await hangups.async_wait(as_result);
    if (error) co_return;
    if (front.config()) front.reload_certificate();
  }
}

SetUp answer_setup(Front& front, const Setup& setup) {
  try {
    front.set_up(setup);
    return {{}, front.endpoints()};
  } catch (const std::exception& problem) {
    return {problem.what(), {}};
  }
}

}  // namespace

int run_front(int socket) {
  harden_process();
  ignore_endings();
  raise_descriptor_limit();
  start_log("front", "info");

  int status = 0;
  asio::io_context context(1);
  Front front(context);
  asio::steady_timer farewell(context);
  KeeperLink::Events events;
  events.set_up = [&](const Setup& setup) { return answer_setup(front, setup); };
  events.reported = [&](const Report& report) { front.report(report); };
  events.make_sentinel = [&](const MakeSentinel& sentinel) { front.make_sentinel(sentinel); };
  events.clock_accepted = [&] { front.accept_clock(); };
  events.changed = [&](const std::string& pool) { front.changed(pool); };
  events.stop = [&] {
    front.stop();
    farewell.expires_after(last_answers);
    farewell.async_wait([&](const auto&) { context.stop(); });
  };
  events.lost = [&](const std::string& why) {
    spdlog::debug("{}", why);
    status = 1;
    context.stop();
  };
  KeeperLink keeper(context, socket, std::move(events));
  front.serve(keeper);
  RedisRecords records(context, keeper);
  front.mind(records);
  asio::co_spawn(context, reload_on_hangup(context, front), asio::detached);
  context.run();
  std::quick_exit(status);  // coroutines still hold what the destructors would take away
}

}  // namespace keyd
