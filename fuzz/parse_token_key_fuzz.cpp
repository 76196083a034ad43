// Whatever is taken for a key keeps its bytes; a key of blind RSA is written again from
// its modulus to the same bytes. The first byte chooses the type.
#include "fuzz.hpp"
#include "token/token_key.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket;
  using namespace ticket::token;
  if (size == 0) return 0;
  const auto type = data[0] % 2 == 0 ? TokenType::blind_rsa : TokenType::ristretto;
  const auto bytes = bytes_of(data + 1, size - 1);
  if (const auto key = parse_token_key(type, bytes)) {
    holds(key->bytes == to_bytes(bytes));
    if (type == TokenType::blind_rsa) {
      const auto rsa = load_rsa(*key);
      holds(rsa.has_value() && *rsa_token_key(rsa->modulus()) == *key);
    }
  }
  return 0;
}
