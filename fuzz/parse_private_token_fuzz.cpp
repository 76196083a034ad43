// Both header fields: what parses can be written, and what was written parses to itself.
#include "fuzz.hpp"
#include "token/header.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::token;
  const auto text = text_of(data, size);
  if (size > 4000) return 0;  // written with quotes it could be too long
  if (const auto challenges = parse_authenticate(text)) {
    for (const auto& challenge : *challenges) holds(!challenge.challenge.empty());
    const auto again = parse_authenticate(write_authenticate(*challenges));
    holds(again.has_value() && *again == *challenges);
  }
  if (const auto token = parse_authorization(text)) {
    holds(!token->empty() && token->size() < size);
    const auto again = parse_authorization(write_authorization(*token));
    holds(again.has_value() && *again == *token);
  }
  return 0;
}
