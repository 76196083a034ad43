// A replay table's file: opened only when it is whole, and then it never lets pass twice.
// The first byte says how the rest is read:
//
//   even  the head of the file, of which a table of that size has zeros after it
//   odd   after a right header: 8 bytes a location, which are claimed, up to 8 bytes of
//         ff; then what stands in the places, whoever wrote it there
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "fuzz.hpp"
#include "replay/table.hpp"

namespace {

using namespace ticket;
using replay::Table;
using replay::TableState;
using replay::Verdict;

const replay::TableEpoch epoch{{}, sys_seconds(seconds(1'800'000'000))};
const Moment before(epoch.begins - seconds(60));
constexpr off_t header = 4096, places = 19 * 64;  // of a table of 100 entries

void claim_twice(Table& table, const replay::Location& location) {
  const bool held = table.holds(location);
  const auto first = table.claim(location, {});
  holds(!held || first == Verdict::replay);
  holds(table.claim(location, {}) == (first == Verdict::unknown ? first : Verdict::replay));
  holds(first != Verdict::fresh || table.holds(location));
  holds(table.state() == TableState::ok || first == Verdict::unknown);
}

void try_head(BytesView head) {
  ring::Fd file(memfd_create("fuzz", MFD_ALLOW_SEALING));
  if (head.size() > static_cast<std::size_t>(header + places) ||
      ftruncate(file.get(), header + places) != 0 ||
      pwrite(file.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()) ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return;
  }
  try {
    auto table = Table::attach(std::move(file), epoch, before);
    claim_twice(table, {});
  } catch (const std::exception&) {
  }
}

// Twice 4 bytes: where the walk begins, and the fingerprint.
replay::Location location_of(BytesView bytes) {
  replay::Location location{};
  std::copy_n(bytes.begin(), 4, location.begin() + 4);  // the upper half: it chooses the line
  std::copy_n(bytes.begin() + 4, 4, location.begin() + 8);
  return location;
}

void try_places(BytesView input) {
  auto table = Table::make(epoch, {100}, before);
  holds(table.state() == TableState::ok);
  std::vector<replay::Location> locations;
  const auto next = [&] {
    const auto taken = input.first(8);
    input = input.subspan(8);
    return taken;
  };
  while (input.size() >= 8) {
    const auto taken = next();
    if (std::ranges::all_of(taken, [](std::byte b) { return b == std::byte{0xff}; })) break;
    locations.push_back(location_of(taken));
  }
  const auto size = std::min(input.size(), static_cast<std::size_t>(places));
  holds(pwrite(table.file().get(), input.data(), size, header) == static_cast<ssize_t>(size));
  auto attached = Table::attach(ring::Fd(dup(table.file().get())), epoch, before);
  holds(attached.state() == TableState::ok);
  for (const auto& location : locations) claim_twice(attached, location);
  for (const auto& location : locations) holds(table.claim(location, {}) != Verdict::fresh);
}

}  // namespace

FUZZ_TARGET(data, size) {
  if (size == 0) return 0;
  const auto rest = bytes_of(data, size).subspan(1);
  if (data[0] % 2 == 0) {
    try_head(rest);
  } else {
    try_places(rest);
  }
  return 0;
}
