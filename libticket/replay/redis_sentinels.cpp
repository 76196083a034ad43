#include "replay/redis_sentinels.hpp"

#include <algorithm>
#include <utility>

namespace ticket::replay {

using Kind = RedisReply::Kind;

namespace {

// That stood once, and are not made again. A keeper has eight epochs at a time.
constexpr std::size_t most_remembered = 64;

}  // namespace

void RedisSentinels::make(const RedisEpoch& epoch, sys_seconds redeems_until, Made made) {
  if (!ready()) return made(why());
  const auto key = sentinel_key(epoch);
  const auto value = sentinel_value(epoch, *server());
  const milliseconds expires = sentinel_expires(redeems_until).time_since_epoch();
  if (std::ranges::find(stood_, epoch.id) == stood_.end()) {
    ask({"SET", key, value, "NX", "PXAT", std::to_string(expires.count())},
        [this](const RedisReply& reply) {
          if (is_error(reply)) making_.front().error = last_error();
          return reply.kind == Kind::error || reply.kind == Kind::status || reply.kind == Kind::nil;
        });
  }
  // What stands now decides: an earlier attempt may have made it.
  ask({"GET", key}, [this](const RedisReply& reply) {
    if (!is_error(reply) && reply.kind != Kind::text && reply.kind != Kind::nil) return false;
    compare(reply);
    return true;
  });
  making_.push_back({epoch, value, std::move(made), "", false});
}

void RedisSentinels::compare(const RedisReply& reply) {
  const auto making = std::move(making_.front());
  making_.pop_front();
  if (reply.kind == Kind::text && reply.text == making.value) {
    if (!making.over) watch(making.epoch);
    return making.made("");
  }
  if (reply.kind == Kind::text) {
    const std::string why =
        "its sentinel stands already with another value: Redis was restarted since it was made, or "
        "another keyd is at work for this pool";
    making.made(why);
    return lost_(making.epoch, why);  // it never will stand as it should
  }
  if (!making.error.empty()) return making.made(making.error);
  making.made(reply.kind == Kind::error ? last_error() : "Redis did not keep it");
}

void RedisSentinels::watch(const RedisEpoch& epoch) {
  unwatch(epoch.id);
  watched_.push_back(epoch);
  std::erase(stood_, epoch.id);
  stood_.push_back(epoch.id);
  if (stood_.size() > most_remembered) stood_.pop_front();
}

void RedisSentinels::forget(const EpochId& epoch) {
  unwatch(epoch);
  for (auto& making : making_) making.over |= making.epoch.id == epoch;
}

void RedisSentinels::unwatch(const EpochId& epoch) {
  std::erase_if(watched_, [&](const auto& watched) { return watched.id == epoch; });
}

// ---- watching

void RedisSentinels::looked() {
  for (const auto& epoch : watched_) {
    ask({"GET", sentinel_key(epoch)}, [this, epoch](const RedisReply& reply) {
      const bool sane = is_error(reply) || reply.kind == Kind::text || reply.kind == Kind::nil;
      if (sane) check(epoch, reply);
      return sane;
    });
  }
}

// An error says nothing about the sentinel.
void RedisSentinels::check(const RedisEpoch& epoch, const RedisReply& reply) {
  if (reply.kind == Kind::nil) {
    return lose(epoch, "its sentinel is gone: Redis was emptied, or came back empty");
  }
  if (reply.kind != Kind::text) return;
  const auto expected = sentinel_value(epoch, *server());
  if (reply.text == expected) return;
  const bool same_run = reply.text.starts_with(server()->run_id + ":");
  const bool same_data = reply.text.starts_with(server()->run_id + ":" + server()->replication_id);
  lose(epoch, !same_run    ? "Redis was restarted, or another one took its place"
              : !same_data ? "Redis was given another master meanwhile, or its first replica"
                           : "its sentinel is another one");
}

void RedisSentinels::refused(const RedisRefusal& refusal) {
  if (!refusal.loses) return;
  for (const auto& epoch : std::exchange(watched_, {})) lost_(epoch, refusal.why);
}

void RedisSentinels::lose(const RedisEpoch& epoch, const std::string& why) {
  const auto found = std::ranges::find(watched_, epoch);
  if (found == watched_.end()) return;  // told already
  watched_.erase(found);
  lost_(epoch, why);
}

void RedisSentinels::ended() {
  for (auto& making : std::exchange(making_, {})) making.made(why());
}

}  // namespace ticket::replay
