// What an agent does about one pool's tokens, as those who watch see it. No I/O.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "redeem/outcome.hpp"
#include "replay/redis_claims.hpp"

namespace keyd {

struct TableSight {
  std::uint32_t epoch = 0;  // number
  bool open = false;
  std::string state;  // in words
  double load = 0;    // 0 to 1
  std::uint64_t bytes = 0;
};

struct RedisSight {
  std::string address;
  bool ready = false;
  std::string trouble;  // why it is not
  std::uint64_t answers = 0;
  std::chrono::microseconds waited{0};  // for all of them
  // Why a claim was unknown, in the order of replay::Doubt.
  std::array<std::uint64_t, ticket::replay::doubts> doubts{};
};

struct TokenSight {
  std::string pool;
  bool offered = false;  // the ring has a token block
  bool shared = false;   // its record is Redis
  std::array<std::uint64_t, ticket::redeem::outcome_count> outcomes{};  // of tokens redeemed here
  std::array<std::uint64_t, 3> claims{};  // by verdict: fresh, replay, unknown
  std::vector<TableSight> tables;
  std::optional<RedisSight> redis;
  std::string trouble;  // why tokens are not taken; empty when they are
};

}  // namespace keyd
