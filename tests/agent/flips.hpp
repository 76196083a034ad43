// Bytes with one bit changed, each in turn.
#pragma once

#include "base/bytes.hpp"

namespace test {

template <class Try>
void each_flip(ticket::Bytes bytes, Try attempt) {
  for (auto& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte ^= static_cast<std::byte>(1 << bit);
      attempt(bytes);
      byte ^= static_cast<std::byte>(1 << bit);
    }
  }
}

}  // namespace test
