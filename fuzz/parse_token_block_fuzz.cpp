// Whatever parses is written back to the same bytes, and ends with its epochs.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/token_block.hpp"

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  const auto block = ticket::wire::parse_token_block(bytes);
  if (!block) return 0;
  holds(std::ranges::equal(ticket::wire::write_token_block(*block).expose(), bytes));
  const auto left = ticket::wire::without_ended(bytes, ticket::sys_seconds::max());
  holds(ticket::wire::parse_token_block(left.expose())->epochs.empty());
  return 0;
}
