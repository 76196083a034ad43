// Whatever parses, as a claim or as an answer, is written back to the same bytes.
#include <algorithm>

#include "fuzz.hpp"
#include "wire/claim.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::wire;
  const auto bytes = bytes_of(data, size);
  if (const auto claim = parse_claim(bytes)) {
    holds(std::ranges::equal(write_claim(*claim), bytes));
  }
  if (const auto answer = parse_claim_answer(bytes)) {
    holds(std::ranges::equal(write_claim_answer(*answer), bytes));
  }
  return 0;
}
