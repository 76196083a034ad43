// Claims in Redis, for tests.
#pragma once

#include <utility>
#include <vector>

#include "replay/redis_claims.hpp"
#include "replay/redis_sentinels.hpp"
#include "replay/redis_server.hpp"
#include "samples.hpp"

namespace samples {

inline const RedisEpoch redis_epoch{"web", EpochId{std::byte{7}}, {std::byte{9}}, 10'000};
inline const ClaimId other{std::byte{1}};

// Long enough for a busy machine.
inline const RedisOptions patient{std::chrono::seconds(20)};

inline sys_seconds in_a_day() {
  return std::chrono::floor<seconds>(std::chrono::system_clock::now()) + seconds(86400);
}

// As keyd's front makes it. Empty, or what is wrong.
inline std::string make_sentinel(const std::string& socket, const RedisEpoch& epoch = redis_epoch,
                                 sys_seconds redeems_until = in_a_day()) {
  RedisSentinels sentinels({}, [](const auto&, const auto&) {});
  Driver driver(sentinels, socket);
  std::optional<std::string> answer;
  if (!driver.until([&] { return sentinels.ready(); }, std::chrono::seconds(5))) {
    return sentinels.why();
  }
  sentinels.make(epoch, redeems_until, [&](const std::string& error) { answer = error; });
  driver.until([&] { return answer.has_value(); });
  return answer.value_or("no answer");
}

using Answer = std::pair<Verdict, Doubt>;

// One who claims over a connection of its own, one claim after the other.
class Claimer {
 public:
  explicit Claimer(const std::string& socket, const RedisOptions& options = patient)
      : claims_(options), driver_(claims_, socket) {
    ready_ = driver_.until([&] { return claims_.takes_claims() || !claims_.open(); });
  }

  Answer ask(const Location& location, const ClaimId& id = me,
             const RedisEpoch& epoch = redis_epoch) {
    std::optional<Answer> answer;
    claims_.claim(epoch, location, id, std::chrono::steady_clock::now(),
                  [&](Verdict verdict, Doubt doubt) {
                    answer = {verdict, doubt};
                  });
    driver_.until([&] { return answer.has_value(); });
    return answer.value_or(Answer{Verdict::unknown, Doubt::none});
  }
  Verdict claim(std::uint64_t number, const ClaimId& id = me) {
    return ask(location(number), id).first;
  }

  RedisClaims& session() { return claims_; }
  Driver& driver() { return driver_; }

 private:
  RedisClaims claims_;
  Driver driver_;
  bool ready_ = false;
};

}  // namespace samples
