// Keeps the keys of one bind right in one running HAProxy, over its stats socket:
// looks every second which keys it holds, and sets those that it should. So it
// makes no difference whether they changed here, or HAProxy was restarted or
// reloaded, or somebody else set a key.
#pragma once

#include <spdlog/common.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "agent_backoff.hpp"
#include "feed_sight.hpp"
#include "haproxy_cli.hpp"

namespace keyd {

class HaproxyFeed : public std::enable_shared_from_this<HaproxyFeed> {
 public:
  using Log = std::function<void(spdlog::level::level_enum, const std::string&)>;
  // The pool's ring with its secrets, which live as long as the value; nullopt:
  // there was none yet, and HAProxy is left alone.
  using ReadRing = std::function<std::optional<ticket::ring::Ring>()>;

  struct Settings {
    std::string pool, context;
    std::string reference;  // as HAProxy knows the key file
    std::string socket;     // path
    ReadRing ring;
    Log log;
  };

  // `clock` must outlive it.
  HaproxyFeed(boost::asio::io_context& context, const ticket::Clock& clock, Settings settings);

  void start();
  void stop();
  void look_now();  // the keys have changed; not while it waits after a failure

  const HaproxySight& sight() const { return sight_; }

 private:
  // Looks and feeds; throws std::runtime_error, whose text holds no key.
  boost::asio::awaitable<void> look();
  boost::asio::awaitable<void> feed(const HeldKeys& held, const HaproxyKeys& standing);
  // One connection, one line; the answer is in answer() until the next.
  boost::asio::awaitable<void> exchange(ticket::BytesView line);
  boost::asio::awaitable<void> run(std::shared_ptr<HaproxyFeed> self);
  boost::asio::awaitable<void> sleep(std::chrono::milliseconds length);

  ticket::BytesView answer() const { return buffer_.expose().first(answered_); }
  bool random_keys_serve(const HeldKeys& held, const HaproxyKeys& standing) const;
  void failed(const std::string& why);
  void log(spdlog::level::level_enum level, const std::string& text) const;

  boost::asio::io_context& context_;
  const ticket::Clock& clock_;
  Settings settings_;
  HaproxySight sight_;
  boost::asio::steady_timer pause_, deadline_;
  boost::asio::local::stream_protocol::socket socket_;
  ticket::SecretBytes buffer_;
  std::size_t answered_ = 0;
  unsigned exchange_ = 0;  // which one is under way, for its deadline
  bool late_ = false;
  Backoff backoff_;
  std::chrono::milliseconds longest_pause_;
  bool stopped_ = false, waits_ = false;
  bool again_ = false;  // the keys have changed while it looked

  struct Drawn {  // random keys that we set
    std::string fingerprint;
    ticket::Bytes names;  // of the three: public
    std::chrono::steady_clock::time_point set_at;
  };
  std::optional<Drawn> drawn_;
};

}  // namespace keyd
