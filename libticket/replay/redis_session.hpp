// One connection to Redis, without the socket: bytes in, bytes out, the time as a
// parameter. It greets, finds out what it talks to, asks that again each second, and
// gives answers to whoever asked, in the order of asking. Whatever goes wrong ends the
// connection.
//
//   closed ──connected()──► greeting ──► ready ──► closed
//
// Not shared between threads. What it calls may call it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "replay/redis_record.hpp"
#include "replay/redis_reply.hpp"

namespace ticket::replay {

using Instant = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

struct RedisOptions {
  milliseconds timeout{50};        // of a claim
  bool durable = false;            // refuse a Redis that does not sync each write
  std::size_t outstanding = 8192;  // claims at a time; one more is unknown
};

class RedisSession {
 public:
  static constexpr milliseconds look_every{1000};
  static constexpr milliseconds longest_silence{5000};
  static constexpr std::size_t max_output = 8 << 20;  // bytes that were not sent yet

  explicit RedisSession(const RedisOptions& options) : options_(options) {}
  virtual ~RedisSession() = default;
  RedisSession(const RedisSession&) = delete;
  RedisSession& operator=(const RedisSession&) = delete;

  // ---- for who has the socket

  // There is a connection. What is to be sent stands in output(), to be swapped out.
  void connected(Instant now);
  void received(BytesView bytes, Instant now);
  // Once a deadline might have passed: some times within the timeout while busy(), else
  // each second.
  void tend(Instant now);
  // The connection has ended, or never came about.
  void disconnected(const std::string& why);
  std::string& output() { return output_; }

  // False: the connection is to be ended; why() says the reason.
  bool open() const { return open_; }
  bool busy() const { return !asked_.empty(); }

  // ---- for everybody

  bool ready() const { return open_ && server_.has_value(); }
  const std::optional<RedisServer>& server() const { return server_; }
  // Why there is no connection, on one line; empty when there is one.
  const std::string& why() const { return why_; }
  // What an error of Redis last said, on one line.
  const std::string& last_error() const { return last_error_; }

 protected:
  // What to do with an answer. False: it makes no sense here.
  using Answered = std::function<bool(const RedisReply&)>;

  void ask(std::initializer_list<std::string_view> words, Answered answered);
  // Ends the connection; connected() begins another one.
  void fail(const std::string& why);
  // For an answer that is an error: keeps its text. True when it is one.
  bool is_error(const RedisReply& reply);
  const RedisOptions& options() const { return options_; }
  Instant now() const { return now_; }

  // The server has been looked at, for the first time in this connection or again, and
  // may keep records.
  virtual void looked() {}
  virtual void refused(const RedisRefusal&) {}
  virtual void tended() {}
  // What was asked will have no answer.
  virtual void ended() {}

 private:
  struct Asked {
    Answered answered;
    Instant at;
  };

  void look();
  // Whether an answer to one of look()'s questions is of that kind, or an error.
  bool seen(const RedisReply& reply, RedisReply::Kind kind);
  void judge();

  RedisOptions options_;
  bool open_ = false;
  std::string output_;
  std::deque<Asked> asked_;
  std::optional<RedisReader> reader_;
  RedisServer seen_;                   // of the look that is under way
  std::optional<RedisServer> server_;  // of the last one
  std::string look_error_;
  Instant now_{}, looked_{};
  std::string why_ = "not connected yet", last_error_;
};

}  // namespace ticket::replay
