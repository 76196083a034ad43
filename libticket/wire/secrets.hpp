// The two plaintexts that travel sealed: a bundle's secrets, a member's wrap.
#pragma once

#include <vector>

#include "base/checked.hpp"
#include "base/secret.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

struct EpochSecret {
  std::uint32_t number = 0;
  BytesView id;      // 16 bytes
  BytesView secret;  // 32 bytes
};

struct BundleSecrets {
  std::vector<EpochSecret> epochs;
  BytesView tokens;  // a token block, not looked into; empty = none
};

SecretBytes write_secrets(const BundleSecrets& secrets);
// Views into `bytes`.
[[nodiscard]] Checked<BundleSecrets> parse_secrets(BytesView bytes);

SecretBytes write_wrap(BytesView content_key, std::uint16_t member);

struct Wrap {
  BytesView content_key;  // 32 bytes, a view into what was parsed
  std::uint16_t member = 0;
};
[[nodiscard]] Checked<Wrap> parse_wrap(BytesView bytes);

}  // namespace ticket::wire
