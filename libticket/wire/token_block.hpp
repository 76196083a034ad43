// What the redeemers of a pool are told of its tokens: public keys, times, and the
// secrets of redemption. It travels sealed in the bundle and stands in the ring file.
#pragma once

#include <string_view>
#include <vector>

#include "base/checked.hpp"
#include "base/clock.hpp"
#include "base/secret.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

// Where it is recorded what was spent.
enum class TokenRecord : std::uint8_t {
  table = 0,  // in the table of the one host that redeems
  redis = 1,  // in a store that all hosts ask
};

// An epoch of token keys:
//
//   made ──► issues_from ─────────► issues_until ─────────► redeems_until
//    announced │ issues and redeems   │    redeems only       │ ended
//
// Views into what was parsed, or of what is to be written.
struct TokenBlockEpoch {
  std::uint32_t number = 0;
  ByteArray<16> id{};
  sys_seconds made, issues_from, issues_until, redeems_until;
  std::uint32_t capacity = 0;  // tokens
  ByteArray<32> context{};     // redemption_context of its challenges (RFC 9577, section 2.1)
  BytesView location_key;      // 32 bytes, secret: where in the record a token stands
  ByteArray<16> sentinel{};    // what a store must know, to be the one that the epoch began with
  BytesView blind_rsa;         // public key of type 0x0002, 342 bytes, or empty
  BytesView ristretto;         // private key of the other type, 32 bytes, or empty
};

struct TokenBlock {
  std::string_view issuer;           // issuer_name of the challenges
  std::string_view origin_info;      // names with commas between them
  std::uint16_t ristretto_type = 0;  // its code point; 0 = not spoken
  TokenRecord record = TokenRecord::table;
  std::uint16_t redeemer = 0;           // the one member that redeems with a table; 0 = none
  std::vector<TokenBlockEpoch> epochs;  // oldest first
};

// Throws std::length_error for more than fits.
SecretBytes write_token_block(const TokenBlock& block);
// Views into `bytes`. Rejects with malformed also what no keyd writes: times or numbers
// that do not grow, keys of a wrong size, an id twice; with bad_key an all-zero id or location
// key, and one that two epochs have.
[[nodiscard]] Checked<TokenBlock> parse_token_block(BytesView bytes);

// The block without the epochs that are over at `now`; what does not parse is gone whole.
SecretBytes without_ended(BytesView block, sys_seconds now);

std::size_t max_token_block_size();

}  // namespace ticket::wire
