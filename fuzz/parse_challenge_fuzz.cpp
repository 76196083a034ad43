// Whatever parses is written back to the same bytes.
#include "fuzz.hpp"
#include "token/challenge.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::token;
  const TokenTypes types(TokenTypes::ristretto_draft_code);
  const auto bytes = bytes_of(data, size);
  if (const auto challenge = parse_challenge(bytes, types)) {
    const auto again = write_challenge(*challenge, types);
    holds(again.has_value() && *again == ticket::to_bytes(bytes));
    std::size_t named = 0;
    for (const auto name : challenge->origins()) named += name.size();
    holds(named <= challenge->origin_info.size());
  }
  return 0;
}
