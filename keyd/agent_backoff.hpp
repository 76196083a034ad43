// How long to wait after a failure: twice as long each time, from 0.2 s to 30 s,
// and a random half of it, so that a thousand agents do not come back at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace keyd {

class Backoff {
 public:
  using milliseconds = std::chrono::milliseconds;
  static constexpr milliseconds shortest{200};
  static constexpr milliseconds longest{30'000};

  // `random`: 0 to 2^32 - 1, drawn by the caller. `limit`: for those who cannot
  // wait for half a minute.
  milliseconds next(std::uint32_t random, milliseconds limit = longest) {
    const auto half = std::min(ceiling_, limit) / 2;
    ceiling_ = std::min(2 * ceiling_, longest);
    return half + milliseconds(half.count() * random >> 32);
  }
  void reset() { ceiling_ = 2 * shortest; }

 private:
  milliseconds ceiling_ = 2 * shortest;
};

}  // namespace keyd
