// Whatever parses can be written, and what was written parses to itself.
#include "fuzz.hpp"
#include "token/directory.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::token;
  if (const auto directory = parse_directory(text_of(data, size))) {
    const auto again = parse_directory(write_directory(*directory));
    holds(again.has_value() && *again == *directory);
    const TokenTypes types(TokenTypes::ristretto_draft_code);
    const ticket::Moment now(ticket::sys_seconds(ticket::seconds(1'800'000'000)));
    if (const auto key = directory->key(TokenType::blind_rsa, types, now)) {
      holds(key->bytes.size() == ticket::wire::rsa_token_key_size);
    }
  }
  return 0;
}
