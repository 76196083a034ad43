// Claims, in the record that Redis keeps for a pool of hosts: one script each, all in one
// pipelined connection. One answers `fresh` only when Redis has said so in time, and on
// the sentinel that the epoch began with.
#pragma once

#include <deque>
#include <vector>

#include "replay/redis_session.hpp"

namespace ticket::replay {

// Why a verdict is `unknown`.
enum class Doubt {
  none,         // it is not
  unconnected,  // no connection to a Redis that may keep the record
  full,         // more claims at a time than there may be
  late,         // no answer within the timeout
  ended,        // the connection ended before the answer
  sentinel,     // missing, or another one: what was spent before may be gone
  error,        // Redis answered with an error: last_error()
};
constexpr std::size_t doubts = 7;
const char* to_text(Doubt doubt);

class RedisClaims final : public RedisSession {
 public:
  using Done = std::function<void(Verdict, Doubt)>;

  explicit RedisClaims(const RedisOptions& options = {}) : RedisSession(options) {}

  // Asks Redis to record a use; `done` is called once, perhaps before this returns.
  // Claims of one id are one: it is fresh to each of them. After `unknown` a use may be
  // recorded or not.
  void claim(const RedisEpoch& epoch, const Location& location, const ClaimId& claim_id,
             Instant now, Done done);

  bool takes_claims() const { return ready() && !script_.empty(); }
  // Those that wait for an answer of Redis, also when nobody waits for it any more.
  std::size_t outstanding() const { return pending_.size(); }

 private:
  // What is the same for all claims of an epoch in one connection.
  struct Names {
    RedisEpoch epoch;
    std::uint32_t buckets;
    std::string prefix, sentinel, expected;
  };
  struct Pending {
    std::shared_ptr<const Names> names;
    Location location;
    ClaimId claim_id;
    Instant deadline;
    Done done;
    bool again = false;  // sent once more, since Redis had forgotten the script
  };

  void looked() override;
  void tended() override;
  void ended() override;
  std::shared_ptr<const Names> names_of(const RedisEpoch& epoch);
  void load_script();
  void send(Pending claim);
  bool answered(const RedisReply& reply);
  void settle(Pending claim, const RedisReply& reply);

  std::vector<std::shared_ptr<const Names>> names_;
  std::string script_;  // its SHA-1; empty: not loaded
  bool loading_ = false;
  std::deque<Pending> pending_;  // in the order in which they were sent
  std::size_t late_ = 0;         // the first so many have their verdict
};

}  // namespace ticket::replay
