// Whatever parses is written back to the same bytes; a wrap likewise.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/secrets.hpp"

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  if (const auto secrets = ticket::wire::parse_secrets(bytes)) {
    holds(std::ranges::equal(ticket::wire::write_secrets(*secrets).expose(), bytes));
  }
  if (const auto wrap = ticket::wire::parse_wrap(bytes)) {
    const auto again = ticket::wire::write_wrap(wrap->content_key, wrap->member);
    holds(std::ranges::equal(again.expose(), bytes));
  }
  return 0;
}
