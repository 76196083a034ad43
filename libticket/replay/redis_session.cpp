#include "replay/redis_session.hpp"

#include <utility>

namespace ticket::replay {

void RedisSession::connected(Instant now) {
  disconnected("another connection");
  why_ = "it has not said yet what it is";
  now_ = now;
  open_ = true;
  reader_.emplace();
  look();
}

void RedisSession::ask(std::initializer_list<std::string_view> words, Answered answered) {
  append_command(output_, words);
  asked_.push_back({std::move(answered), now_});
}

void RedisSession::received(BytesView bytes, Instant now) {
  now_ = now;
  if (!open_) return;
  reader_->feed(bytes);
  while (open_) {
    const auto* reply = reader_->next();
    if (reader_->broken()) return fail("it sent what is no answer of Redis");
    if (reply == nullptr) return;
    if (asked_.empty()) return fail("it answered what nobody asked");
    const auto answered = std::move(asked_.front().answered);
    asked_.pop_front();
    if (!answered(*reply) && open_) return fail("it sent an answer that makes no sense");
  }
}

void RedisSession::tend(Instant now) {
  now_ = now;
  if (!open_) return;
  if (!asked_.empty() && now - asked_.front().at > longest_silence) {
    return fail("it has not answered for 5 s");
  }
  if (server_ && now - looked_ >= look_every) look();
  tended();
}

void RedisSession::fail(const std::string& why) { disconnected(why); }

// The reader stays: it may be what is giving an answer just now.
void RedisSession::disconnected(const std::string& why) {
  why_ = why;
  open_ = false;
  output_.clear();
  asked_.clear();
  server_.reset();
  ended();
}

bool RedisSession::is_error(const RedisReply& reply) {
  if (reply.kind != RedisReply::Kind::error) return false;
  last_error_ = quoted(reply.text);
  return true;
}

// ---- what it talks to

void RedisSession::look() {
  seen_ = {};
  look_error_.clear();
  looked_ = now_;
  for (const auto* section : {"server", "replication"}) {
    ask({"INFO", section}, [this](const RedisReply& reply) {
      read_info(seen_, reply.text);
      return seen(reply, RedisReply::Kind::text);
    });
  }
  const std::string_view patterns[] = {"maxmemory-policy", "appendonly", "appendfsync",
                                       "hash-max-*"};
  for (const auto& pattern : patterns) {
    const bool last = &pattern == std::end(patterns) - 1;
    ask({"CONFIG", "GET", pattern}, [this, last](const RedisReply& reply) {
      read_config(seen_, reply.list);
      const bool sane = seen(reply, RedisReply::Kind::list);
      if (sane && last) judge();
      return sane;
    });
  }
}

bool RedisSession::seen(const RedisReply& reply, RedisReply::Kind kind) {
  if (reply.kind == RedisReply::Kind::error) look_error_ = quoted(reply.text);
  return reply.kind == RedisReply::Kind::error || reply.kind == kind;
}

void RedisSession::judge() {
  auto objection = refusal(seen_, options_.durable);
  if (!objection.why.empty()) {
    if (!look_error_.empty()) objection.why += " (it said: " + look_error_ + ")";
    refused(objection);
    return fail(objection.why);
  }
  if (server_ && !server_->same_data(seen_)) {
    return fail(
        "its replication id has changed: it was given another master, or its first replica");
  }
  server_ = seen_;
  why_.clear();
  looked();
}

}  // namespace ticket::replay
