// Epochs, times and locations for tests of tables.
#pragma once

#include <sodium.h>

#include <cstring>

#include "replay/table.hpp"

namespace samples {

using namespace ticket;
using namespace ticket::replay;

inline const sys_seconds noon{seconds(1'800'000'000)};
inline const Moment before(noon - seconds(60));  // when a table is made in time
inline const TableEpoch epoch{EpochId{std::byte{1}}, noon};
inline const ClaimId me{};

// Spread like a keyed hash, and the same each time.
inline Location location(std::uint64_t number) {
  Location out;
  unsigned char seed[randombytes_SEEDBYTES] = {};
  std::memcpy(seed, &number, sizeof number);
  randombytes_buf_deterministic(out.data(), out.size(), seed);
  return out;
}

}  // namespace samples
