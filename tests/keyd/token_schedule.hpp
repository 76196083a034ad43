// A pool's token epochs as the keeper drives them: what is planned is stored, and told in a
// generation.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "token_rotation.hpp"

namespace test {

using namespace ticket;
using namespace std::chrono_literals;
using keyd::TokenEpoch;
using keyd::TokenOutlook;

constexpr keyd::TokenPolicy day{24h, 24h, 1h};

struct Schedule {
  static constexpr sys_seconds noon{seconds(1'790'000'000)};

  explicit Schedule(bool redis = false) { sight.redis = redis; }

  keyd::TokenPlan plan() const { return plan_tokens(epochs, last, policy, sight, at()); }
  Moment at() const { return Moment(now, now + apart); }

  // Plans once; what the front told is told no more.
  void tend() {
    const auto made = plan();
    epochs = made.epochs;
    last = made.last_number;
    next = made.next;
    sight.sentinels.clear();
    sight.lost.clear();
    sight.cut.clear();
    sight.rotate = false;
    if (!made.publish) return;
    ++generation;
    for (auto& epoch : epochs) {
      if (epoch.announced_in == 0) {
        epoch.announced_in = generation;
        epoch.id.fill(std::byte(epoch.number));
        epoch.blind_rsa = Bytes(342);
      }
      if (epoch.ended() && epoch.ended_in == 0) epoch.ended_in = generation;
    }
  }
  // All members apply what there is, Redis makes what it is asked for.
  void follow() {
    if (members) sight.applied = sight.holds = generation;
    for (const auto& epoch : epochs) {
      if (sight.redis && store_lives && !epoch.sentinel && !epoch.ended()) {
        sight.sentinels.insert(epoch.number);
      }
    }
  }
  void settle() {
    for (int i = 0; i < 4; ++i) {
      tend();
      follow();
    }
    tend();
  }
  void live(seconds time) {
    const auto end = now + time;
    settle();
    while (next < end) {
      now = std::max(next, now + 1s);
      settle();
    }
    now = end;
    settle();
  }
  const TokenEpoch* issuing() const {
    for (const auto& epoch : epochs) {
      if (epoch.issues(at())) return &epoch;
    }
    return nullptr;
  }
  const TokenEpoch& number(std::uint32_t wanted) const {
    for (const auto& epoch : epochs) {
      if (epoch.number == wanted) return epoch;
    }
    FAIL("there is no token epoch ", wanted);
    return epochs.front();
  }

  TokenOutlook sight = {.keys = 8};
  keyd::TokenPolicy policy = day;
  std::vector<TokenEpoch> epochs;
  std::uint32_t last = 0;
  std::uint64_t generation = 0;
  sys_seconds now = noon, next;
  seconds apart{0};
  bool members = true, store_lives = true;
};

}  // namespace test
