#include "redis_link.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <stdexcept>

namespace keyd {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::generic::stream_protocol;
using spdlog::level::level_enum;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr auto idle_tick = 1s;
constexpr auto longest_connect = 2s;
constexpr auto longest_pause = 2s;  // nothing is accepted meanwhile

std::string in_words(const boost::system::error_code& error) {
  return error == asio::error::eof ? "it closed the connection" : error.message();
}

}  // namespace

RedisLink::RedisLink(asio::io_context& context, std::string address,
                     ticket::replay::RedisSession& session, milliseconds tick, Log log)
    : context_(context),
      address_(std::move(address)),
      session_(&session),
      tick_(tick),
      log_(std::move(log)),
      pause_(context),
      timer_(context) {}

void RedisLink::start() {
  asio::co_spawn(context_, run(shared_from_this()), asio::detached);
  tick();
}

void RedisLink::stop() {
  if (session_ == nullptr) return;
  end("stopped");
  session_ = nullptr;
  pause_.cancel();
  timer_.cancel();
}

asio::awaitable<void> RedisLink::run(std::shared_ptr<RedisLink> self) {
  while (self->session_ != nullptr) {
    try {
      co_await talk();
    } catch (const boost::system::system_error& error) {
      if (session_ != nullptr) end(in_words(error.code()));
    } catch (const std::exception& error) {
      if (session_ != nullptr) end(error.what());
    }
    if (session_ == nullptr) co_return;
    tell();
    boost::system::error_code cancelled;
    pause_.expires_after(backoff_.next(randombytes_random(), longest_pause));
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

// Ends by a throw, which says why.
asio::awaitable<void> RedisLink::talk() {
  connecting_ = true;
  connect_until_ = steady_clock::now() + longest_connect;
  co_await connect();
  if (session_ == nullptr) co_return;
  connecting_ = false;
  session_->connected(steady_clock::now());
  write();
  std::array<std::byte, 32 << 10> bytes;
  while (true) {
    const auto size = co_await socket_->async_read_some(asio::buffer(bytes), asio::use_awaitable);
    if (session_ == nullptr) co_return;
    session_->received(ticket::BytesView(bytes).first(size), steady_clock::now());
    if (session_ == nullptr) co_return;
    if (!session_->open()) throw std::runtime_error(session_->why());
    if (session_->ready()) tell();
    write();
  }
}

// ---- the socket

asio::awaitable<void> RedisLink::connect() {
  if (address_.find('/') != address_.npos) {
    co_return co_await connect_to(asio::local::stream_protocol::endpoint(address_));
  }
  const auto colon = address_.rfind(':');
  if (colon == address_.npos) throw std::runtime_error("not a path and not HOST:PORT");
  auto host = address_.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  asio::ip::tcp::resolver resolver(context_);
  const auto found =
      co_await resolver.async_resolve(host, address_.substr(colon + 1), asio::use_awaitable);
  std::string failure = "no address";
  for (const auto& entry : found) {
    connect_until_ = steady_clock::now() + longest_connect;
    try {
      co_await connect_to(entry.endpoint());
      socket_->set_option(asio::ip::tcp::no_delay(true));
      co_return;
    } catch (const std::exception& error) {
      failure = error.what();
    }
    if (session_ == nullptr) break;
  }
  throw std::runtime_error(failure);
}

asio::awaitable<void> RedisLink::connect_to(stream_protocol::endpoint endpoint) {
  if (session_ == nullptr) throw std::runtime_error("stopped");
  socket_ = std::make_unique<Socket>(context_);
  boost::system::error_code error;
  co_await socket_->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return;
  const bool late = steady_clock::now() >= connect_until_;
  throw std::runtime_error(late ? "no connection within 2 s" : error.message());
}

void RedisLink::flush() {
  if (std::exchange(posted_, true)) return;
  asio::post(context_, [self = shared_from_this()] {
    self->posted_ = false;
    if (self->session_ == nullptr) return;
    self->write();
    if (self->timer_.expiry() > steady_clock::now() + self->tick_) self->tick();
  });
}

void RedisLink::write() {
  if (writing_ || !session_->open() || session_->output().empty()) return;
  writing_ = true;
  sending_.clear();
  std::swap(sending_, session_->output());
  const auto turn = connection_;
  asio::async_write(
      *socket_, asio::buffer(sending_),
      [self = shared_from_this(), turn](const boost::system::error_code& error, std::size_t) {
        if (self->session_ == nullptr || turn != self->connection_) return;
        self->writing_ = false;
        // a failure is the reader's to tell
        if (!error) self->write();
      });
}

// Looks at the time, and again in a while.
void RedisLink::tick() {
  const auto now = steady_clock::now();
  if (connecting_ && now >= connect_until_ && socket_) socket_->close();
  session_->tend(now);
  if (session_ == nullptr) return;
  if (socket_ && !connecting_ && !session_->open()) {
    boost::system::error_code ignored;
    socket_->close(ignored);  // the reader ends, and tells
  } else {
    write();
  }
  timer_.expires_after(session_->busy() || connecting_ ? tick_ : milliseconds(idle_tick));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = cancelled ? nullptr : weak.lock();
    if (self && self->session_ != nullptr) self->tick();
  });
}

// What the session itself ended for stays the reason.
void RedisLink::end(const std::string& why) {
  const bool others = std::exchange(connecting_, false) || session_->open();
  ++connection_;
  writing_ = ready_ = false;
  boost::system::error_code ignored;
  if (socket_) socket_->close(ignored);
  if (others) session_->disconnected(why);
}

// ---- telling

void RedisLink::tell() {
  if (!session_->ready()) {
    const bool known = std::exchange(told_, session_->why()) == session_->why();
    return log(known ? level_enum::debug : level_enum::err, told_);
  }
  if (std::exchange(ready_, true)) return;
  backoff_.reset();
  const auto& server = *session_->server();
  log(level_enum::info, "connected, run id " + server.run_id);
  auto found = ticket::replay::warnings(server);
  for (const auto& warning : found) {
    const bool known = std::ranges::find(warnings_, warning) != warnings_.end();
    log(known ? level_enum::debug : level_enum::warn, warning);
  }
  warnings_ = std::move(found);
  told_.clear();
}

void RedisLink::log(level_enum level, const std::string& text) const {
  log_(level, "Redis at " + address_ + ": " + text);
}

// ---- who uses it

namespace {

milliseconds tick_of(const ticket::replay::RedisOptions& options) {
  return std::clamp<milliseconds>(options.timeout / 5, 2ms, 100ms);
}

}  // namespace

RedisClaimer::RedisClaimer(asio::io_context& context, const std::string& address,
                           const ticket::replay::RedisOptions& options, RedisLink::Log log)
    : claims_(options),
      link_(std::make_shared<RedisLink>(context, address, claims_, tick_of(options),
                                        std::move(log))) {
  link_->start();
}

RedisClaimer::~RedisClaimer() { link_->stop(); }

void RedisClaimer::claim(const ticket::replay::RedisEpoch& epoch,
                         const ticket::replay::Location& location,
                         const ticket::replay::ClaimId& claim_id,
                         ticket::replay::RedisClaims::Done done) {
  claims_.claim(epoch, location, claim_id, steady_clock::now(), std::move(done));
  link_->flush();
}

RedisWatch::RedisWatch(asio::io_context& context, const std::string& address,
                       const ticket::replay::RedisOptions& options, RedisLink::Log log,
                       ticket::replay::RedisSentinels::Lost lost)
    : sentinels_(options, std::move(lost)),
      link_(std::make_shared<RedisLink>(context, address, sentinels_, 100ms, std::move(log))) {
  link_->start();
}

RedisWatch::~RedisWatch() { link_->stop(); }

void RedisWatch::make(const ticket::replay::RedisEpoch& epoch, ticket::sys_seconds redeems_until,
                      ticket::replay::RedisSentinels::Made made) {
  sentinels_.make(epoch, redeems_until, std::move(made));
  link_->flush();
}

}  // namespace keyd
