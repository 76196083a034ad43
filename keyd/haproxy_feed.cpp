#include "haproxy_feed.hpp"

#include <sodium.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <stdexcept>

namespace keyd {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using spdlog::level::level_enum;

namespace {

constexpr auto look_every = 1s;
constexpr auto longest_exchange = 5s;
constexpr std::size_t answer_limit = 16 << 10;  // HAProxy's own buffer; three keys take 400 bytes
// How long a random key seals, while no key of the pool may.
constexpr auto random_key_life = 10s;

// With the connection's error as the operating system tells it.
std::string not_reached(const boost::system::error_code& error) {
  using boost::asio::error::connection_refused;
  if (error == boost::system::errc::no_such_file_or_directory || error == connection_refused) {
    return error.message() + ": HAProxy does not run, or has no such stats socket";
  }
  return error.message();
}

ticket::Bytes names_of(const HaproxyKeys& keys) {
  ticket::Bytes names;
  for (std::size_t i = 0; i < haproxy_slots; ++i) {
    const auto name = ticket::BytesView(keys.expose()).subspan(i * haproxy_key_size, key_name_size);
    names.insert(names.end(), name.begin(), name.end());
  }
  return names;
}

}  // namespace

HaproxyFeed::HaproxyFeed(asio::io_context& context, const ticket::Clock& clock, Settings settings)
    : context_(context),
      clock_(clock),
      settings_(std::move(settings)),
      pause_(context),
      deadline_(context),
      socket_(context),
      buffer_(answer_limit),
      longest_pause_(Backoff::longest) {
  sight_.pool = settings_.pool;
  sight_.context = settings_.context;
  sight_.socket = settings_.socket;
}

void HaproxyFeed::start() { asio::co_spawn(context_, run(shared_from_this()), asio::detached); }

void HaproxyFeed::stop() {
  stopped_ = true;
  pause_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void HaproxyFeed::look_now() {
  if (!waits_) {
    again_ = true;
  } else if (sight_.trouble.empty()) {
    pause_.cancel();
  }
}

asio::awaitable<void> HaproxyFeed::run(std::shared_ptr<HaproxyFeed> self) {
  while (!self->stopped_) {
    std::chrono::milliseconds pause = look_every;
    again_ = false;
    try {
      co_await look();
      if (again_) continue;
    } catch (const std::exception& error) {
      if (stopped_) co_return;
      failed(error.what());
      pause = backoff_.next(randombytes_random(), longest_pause_);
    }
    if (!stopped_) co_await sleep(pause);
  }
}

asio::awaitable<void> HaproxyFeed::sleep(std::chrono::milliseconds length) {
  boost::system::error_code cancelled;
  pause_.expires_after(length);
  waits_ = true;
  co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  waits_ = false;
}

// ---- looking and feeding

asio::awaitable<void> HaproxyFeed::look() {
  const auto ask = ask_command(settings_.reference);
  co_await exchange(ticket::as_bytes(ask));
  auto standing = parse_answer(answer(), settings_.reference);
  sodium_memzero(buffer_.fill().data(), buffer_.size());
  if (!standing) throw std::runtime_error(standing.error());
  // Read after the answer came: keys that have ended meanwhile are not set.
  const auto now = clock_.now();
  const auto ring = settings_.ring();
  if (ring) {
    using std::chrono::milliseconds;
    longest_pause_ = std::clamp<milliseconds>(ring->policy.rotate_every / 4, 1s, Backoff::longest);
    co_await feed(held_keys(*ring, settings_.context, KeyLayout::haproxy, haproxy_slots, now),
                  *standing);
  }
  sight_.last_seen = clock_.now().latest;
  backoff_.reset();
  if (!sight_.trouble.empty()) log(level_enum::info, "HAProxy answers again");
  sight_.trouble.clear();
}

asio::awaitable<void> HaproxyFeed::feed(const HeldKeys& held, const HaproxyKeys& standing) {
  const auto wanted = in_slots(held);
  const auto sets = held.drawn ? haproxy_slots : sets_needed(standing, wanted);
  if (sets == 0 || random_keys_serve(held, standing)) {
    sight_.current = true;
    co_return;
  }
  sight_.current = false;
  const auto line = set_command(settings_.reference, wanted, static_cast<unsigned>(sets));
  co_await exchange(line.expose());
  const auto taken = sets_taken(answer());
  const auto stands = parse_answer(answer(), settings_.reference);
  sodium_memzero(buffer_.fill().data(), buffer_.size());
  if (!stands) throw std::runtime_error(stands.error());
  if (taken != sets || !(*stands == wanted)) {
    throw std::runtime_error("it took " + std::to_string(taken) + " of " + std::to_string(sets) +
                             " keys, or somebody else set others meanwhile");
  }
  ++sight_.feeds;
  sight_.current = true;
  const bool told = held.drawn && drawn_ && drawn_->fingerprint == held.fingerprint;
  if (held.drawn && !told) {
    log(level_enum::err, "no key may seal now: HAProxy has random keys, new ones every 10 s");
  }
  if (!held.drawn) {
    log(sets == 1 ? level_enum::debug : level_enum::info,
        "set " + std::to_string(sets) + (sets == 1 ? " key" : " keys"));
  }
  drawn_.reset();
  if (held.drawn) {
    drawn_ = {held.fingerprint, names_of(wanted), std::chrono::steady_clock::now()};
  }
}

// What a random key seals would resume at this HAProxy for as long as it stands.
bool HaproxyFeed::random_keys_serve(const HeldKeys& held, const HaproxyKeys& standing) const {
  return held.drawn && drawn_ && drawn_->fingerprint == held.fingerprint &&
         drawn_->names == names_of(standing) &&
         std::chrono::steady_clock::now() < drawn_->set_at + random_key_life;
}

// ---- the socket

asio::awaitable<void> HaproxyFeed::exchange(ticket::BytesView line) {
  boost::system::error_code error;
  const auto wait = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
  answered_ = 0;
  socket_.close(error);
  deadline_.expires_after(longest_exchange);
  late_ = false;
  // A timer that went off just as the answer came is told too late to be cancelled.
  const auto turn = ++exchange_;
  deadline_.async_wait([weak = weak_from_this(), turn](const boost::system::error_code& cancelled) {
    const auto self = cancelled ? nullptr : weak.lock();
    if (!self || self->exchange_ != turn) return;
    self->late_ = true;
    boost::system::error_code ignored;
    self->socket_.close(ignored);
  });
  std::string problem;
  co_await socket_.async_connect(settings_.socket, wait());
  if (error) problem = not_reached(error);
  if (problem.empty()) {
    co_await asio::async_write(socket_, asio::buffer(line.data(), line.size()), wait());
    if (error) problem = error.message();
  }
  while (problem.empty() && !error && answered_ < buffer_.size()) {
    const auto rest = buffer_.fill().subspan(answered_);
    answered_ += co_await socket_.async_read_some(asio::buffer(rest.data(), rest.size()), wait());
  }
  if (problem.empty() && error != asio::error::eof) {
    problem = error ? error.message() : "its answer is too long";
  }
  ++exchange_;
  deadline_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (late_) problem = "no answer within 5 s";
  if (!problem.empty()) throw std::runtime_error(problem);
}

// ---- telling

void HaproxyFeed::failed(const std::string& why) {
  sodium_memzero(buffer_.fill().data(), buffer_.size());
  ++sight_.failures;
  sight_.current = false;
  const bool told = std::exchange(sight_.trouble, why) == why;
  log(told ? level_enum::debug : level_enum::warn, why);
}

void HaproxyFeed::log(level_enum level, const std::string& text) const {
  settings_.log(level, settings_.pool + ": HAProxy at " + settings_.socket + ", context " +
                           settings_.context + ": " + text);
}

}  // namespace keyd
