// Whatever parses is written back to the same bytes.
#include "fuzz.hpp"
#include "wire/attribution.hpp"

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  if (const auto attribution = ticket::wire::parse_attribution(bytes)) {
    holds(std::ranges::equal(ticket::wire::write_attribution(*attribution), bytes));
  }
  return 0;
}
