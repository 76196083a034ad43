#include "token/token.hpp"

#include "wire/cursor.hpp"

namespace ticket::token {

Checked<Token> parse_token(BytesView bytes, const TokenTypes& types) {
  wire::Cursor cursor(bytes);
  Token token;
  token.type = TRY(types.type(TRY(cursor.integer<std::uint16_t>())));
  if (bytes.size() != token_size(token.type)) return reject(Rejection::malformed);
  TRY(cursor.take(std::tuple_size<Nonce>::value));
  token.challenge_digest = TRY(cursor.take(32));
  token.key_id = TRY(cursor.take(32));
  token.authenticator = TRY(cursor.take(authenticator_size(token.type)));
  token.input = bytes.first(wire::token_input_size);
  return token;
}

TokenInput token_input(std::uint16_t code, const Nonce& nonce, const Digest& digest,
                       const KeyId& key) {
  TokenInput input;
  wire::Writer(input).integer(code).bytes(nonce).bytes(digest).bytes(key);
  return input;
}

}  // namespace ticket::token
