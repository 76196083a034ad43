// A state that parses is written back to the same bytes; none opens by chance.
#include <algorithm>

#include "fuzz.hpp"
#include "state.hpp"

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  if (const auto state = keyd::parse_state(bytes, 1)) {
    holds(std::ranges::equal(keyd::write_state(*state).expose(), bytes));
  }
  static const keyd::StateKey key{ticket::Secret<32>::random(), {}, {}};
  holds(!keyd::open_state(key, bytes).has_value());
  return 0;
}
