// Epochs, times and locations for tests of tables.
#pragma once

#include <sodium.h>

#include <cstring>
#include <fstream>

#include "replay/table.hpp"
#include "support/process.hpp"

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

// Changes bytes of the header, as a file of another time or boot would have them, and
// puts its hash right, so that only what was changed is found.
inline void edit_header(const std::filesystem::path& path, std::size_t at, BytesView with) {
  auto text = support::read_text(path);
  std::memcpy(text.data() + at, with.data(), with.size());
  const auto fixed = text.substr(0, 12) + text.substr(16, 72);
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(text.data()) + 88,
                     reinterpret_cast<const unsigned char*>(fixed.data()), fixed.size());
  std::ofstream(path, std::ios::binary | std::ios::in | std::ios::out).write(text.data(), 120);
}

// As if the file had been made that long ago.
inline void age(const std::filesystem::path& path, seconds by) {
  const auto text = support::read_text(path);
  std::int64_t boot_time = 0;
  std::memcpy(&boot_time, text.data() + 56, sizeof boot_time);
  boot_time -= std::chrono::nanoseconds(by).count();
  edit_header(path, 56, std::as_bytes(std::span(&boot_time, 1)));
}

}  // namespace samples
