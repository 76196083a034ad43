// Makes the sentinels of epochs in Redis, and looks each second whether they stand. Only
// keyd's front does this, one for a pool: who makes a sentinel says that nothing of its
// epoch was spent yet.
#pragma once

#include <functional>
#include <vector>

#include "replay/redis_session.hpp"

namespace ticket::replay {

class RedisSentinels final : public RedisSession {
 public:
  // An empty text: it stands. Else why it does not, or may not.
  using Made = std::function<void(const std::string& error)>;
  // Told once for an epoch, which is then forgotten. Also of one whose sentinel cannot be
  // made since another one stands in its place.
  using Lost = std::function<void(const RedisEpoch& epoch, const std::string& why)>;

  RedisSentinels(const RedisOptions& options, Lost lost)
      : RedisSession(options), lost_(std::move(lost)) {}

  // Makes the sentinel of an epoch that never had one, and watches it. After an error the
  // same call may be made again; there may be one where the sentinel came about and only
  // the answer was lost. One that stood is not made again, however often it is asked for.
  void make(const RedisEpoch& epoch, sys_seconds redeems_until, Made made);
  // Watches one that was made earlier, maybe by a process before this one; needs no
  // connection.
  void watch(const RedisEpoch& epoch);
  // Also of one whose answer is still to come.
  void forget(const EpochId& epoch);

 private:
  struct Making {
    RedisEpoch epoch;
    std::string value;
    Made made;
    std::string error;
    bool over = false;  // it is not to be watched
  };

  void looked() override;
  void refused(const RedisRefusal& refusal) override;
  void ended() override;
  void unwatch(const EpochId& epoch);
  void compare(const RedisReply& reply);
  void check(const RedisEpoch& epoch, const RedisReply& reply);
  void lose(const RedisEpoch& epoch, const std::string& why);

  Lost lost_;
  std::vector<RedisEpoch> watched_;
  std::deque<EpochId> stood_;  // oldest first; also those that are lost
  std::deque<Making> making_;  // in the order in which they were sent
};

}  // namespace ticket::replay
