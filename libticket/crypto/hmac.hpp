// HMAC-SHA256 (RFC 2104) made ready once a key.
#pragma once

#include <memory>

#include "base/bytes.hpp"

namespace ticket::crypto {

// A key as the two SHA-256 states that follow its padded block. EVP_MAC costs an
// algorithm fetch, four blocks and allocations a message; this costs the
// message's blocks and one more. Immutable, so threads share it; wiped when it
// goes. Why by hand: docs/decisions.md.
class HmacSha256 {
 public:
  // At most 64 bytes of key; throws std::invalid_argument for more.
  explicit HmacSha256(BytesView key);

  void tag(BytesView message, std::span<std::byte, 32> out) const noexcept;

 private:
  struct States;
  struct Wipe {
    void operator()(States* states) const noexcept;
  };
  std::unique_ptr<States, Wipe> states_;
};

// Whether two tags are the same, in constant time.
bool same_tag(std::span<const std::byte, 32> a, std::span<const std::byte, 32> b) noexcept;

}  // namespace ticket::crypto
