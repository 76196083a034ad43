// Token blocks for tests: known times, keys that no real issuer has.
#pragma once

#include "support/rings.hpp"
#include "wire/token_block.hpp"

namespace ticket::test {

// Epochs first..last of an hour each, from noon, whose tokens are taken for an hour more.
// The location key of epoch n is n again and again.
inline SecretBytes token_block(std::uint32_t first, std::uint32_t last) {
  std::vector<Bytes> keys;
  wire::TokenBlock block;
  block.issuer = "issuer.example";
  block.origin_info = "a.test,b.test";
  block.redeemer = 1;
  keys.reserve(last - first + 1);
  for (auto number = first; number <= last; ++number) {
    wire::TokenBlockEpoch epoch;
    epoch.number = number;
    epoch.id.fill(static_cast<std::byte>(number));
    epoch.issues_from = noon + (number - first) * 1h;
    epoch.made = epoch.issues_from - 1h;
    epoch.issues_until = epoch.issues_from + 1h;
    epoch.redeems_until = epoch.issues_until + 1h;
    epoch.capacity = 1000;
    epoch.location_key = keys.emplace_back(32, static_cast<std::byte>(number));
    block.epochs.push_back(epoch);
  }
  return wire::write_token_block(block);
}

}  // namespace ticket::test
