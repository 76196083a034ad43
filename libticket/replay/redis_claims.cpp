#include "replay/redis_claims.hpp"

#include <algorithm>
#include <utility>

namespace ticket::replay {

using Kind = RedisReply::Kind;

namespace {

constexpr std::size_t most_names = 64;  // epochs of all pools
// Of a claim's id in the record: two of one token's claims have the same with 2^-96.
constexpr std::size_t id_kept = 12;

}  // namespace

const char* to_text(Doubt doubt) {
  switch (doubt) {
    case Doubt::none:
      return "none";
    case Doubt::unconnected:
      return "no connection";
    case Doubt::full:
      return "too many claims at a time";
    case Doubt::late:
      return "no answer in time";
    case Doubt::ended:
      return "the connection ended";
    case Doubt::sentinel:
      return "the record is not the one that the epoch began with";
    case Doubt::error:
      return "an error";
  }
  return "unknown doubt";
}

void RedisClaims::claim(const RedisEpoch& epoch, const Location& location, const ClaimId& claim_id,
                        Instant now, Done done) {
  if (!takes_claims()) return done(Verdict::unknown, Doubt::unconnected);
  if (pending_.size() >= options().outstanding || output().size() >= max_output) {
    return done(Verdict::unknown, Doubt::full);
  }
  send({names_of(epoch), location, claim_id, now + options().timeout, std::move(done)});
}

std::shared_ptr<const RedisClaims::Names> RedisClaims::names_of(const RedisEpoch& epoch) {
  const auto found =
      std::ranges::find_if(names_, [&](const auto& names) { return names->epoch == epoch; });
  if (found != names_.end()) return *found;
  if (names_.size() == most_names) names_.erase(names_.begin());
  names_.push_back(
      std::make_shared<const Names>(Names{epoch, buckets_of(epoch), key_prefix(epoch),
                                          sentinel_key(epoch), sentinel_value(epoch, *server())}));
  return names_.back();
}

void RedisClaims::send(Pending claim) {
  const auto& names = *claim.names;
  const auto bucket = names.prefix + std::to_string(bucket_of(claim.location, names.buckets));
  ask({"EVALSHA", script_, "2", names.sentinel, bucket, names.expected, field_of(claim.location),
       as_text(BytesView(claim.claim_id).first(id_kept))},
      [this](const RedisReply& reply) { return answered(reply); });
  pending_.push_back(std::move(claim));
}

// ---- answers

bool RedisClaims::answered(const RedisReply& reply) {
  const bool sane = reply.kind == Kind::error ||
                    (reply.kind == Kind::integer && reply.number >= -1 && reply.number <= 1);
  if (!sane) return false;  // this one too is `ended`
  auto claim = std::move(pending_.front());
  pending_.pop_front();
  if (late_ > 0) {
    --late_;
  } else {
    settle(std::move(claim), reply);
  }
  return true;
}

void RedisClaims::settle(Pending claim, const RedisReply& reply) {
  if (is_error(reply)) {
    // nothing was done, so it is safe to do it again
    if (reply.text.starts_with("NOSCRIPT") && !claim.again) {
      load_script();
      claim.again = true;
      claim.deadline = now() + options().timeout;  // later than those before it
      return send(std::move(claim));
    }
    return claim.done(Verdict::unknown, Doubt::error);
  }
  if (reply.number < 0) return claim.done(Verdict::unknown, Doubt::sentinel);
  claim.done(reply.number == 0 ? Verdict::fresh : Verdict::replay, Doubt::none);
}

// All have the same time, so the first that were sent are the first to be late.
void RedisClaims::tended() {
  while (late_ < pending_.size() && pending_[late_].deadline <= now()) {
    const auto done = std::move(pending_[late_++].done);
    done(Verdict::unknown, Doubt::late);
  }
}

void RedisClaims::ended() {
  script_.clear();
  loading_ = false;
  names_.clear();
  auto all = std::exchange(pending_, {});
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::exchange(late_, 0)));
  for (auto& claim : all) claim.done(Verdict::unknown, Doubt::ended);
}

// ---- the script

void RedisClaims::looked() {
  if (script_.empty()) load_script();
}

void RedisClaims::load_script() {
  if (std::exchange(loading_, true)) return;
  ask({"SCRIPT", "LOAD", claim_script}, [this](const RedisReply& reply) {
    loading_ = false;
    if (is_error(reply)) {
      fail("it takes no script: " + last_error());
      return true;
    }
    if (reply.kind != Kind::text || reply.text.size() != 40) return false;
    script_ = reply.text;
    return true;
  });
}

}  // namespace ticket::replay
