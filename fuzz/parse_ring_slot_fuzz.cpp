// Whatever parses is written back to the same bytes.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/ring_slot.hpp"

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  if (const auto slot = ticket::wire::parse_ring_slot(bytes)) {
    holds(std::ranges::equal(ticket::wire::write_ring_slot(*slot).expose(), bytes));
  }
  return 0;
}
