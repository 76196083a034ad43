// Whatever parses is written back to the same bytes, and makes no token. The first byte
// chooses type and form.
#include "fuzz.hpp"
#include "token/client.hpp"
#include "token/issuer.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket;
  using namespace ticket::token;
  static const TokenTypes types(TokenTypes::ristretto_draft_code);
  static const auto key = IssuerKey::generate(TokenType::ristretto);
  static const auto challenge =
      write_challenge({TokenType::ristretto, "issuer.example", std::nullopt, ""}, types);
  static const auto withdrawal =
      Withdrawal::begin(*challenge, key.public_key(), types, Form::batch, 3);
  if (size == 0) return 0;
  const auto type = data[0] % 2 == 0 ? TokenType::blind_rsa : TokenType::ristretto;
  const auto form = data[0] / 2 % 2 == 0 ? Form::single : Form::batch;
  const auto bytes = bytes_of(data + 1, size - 1);
  if (const auto response = parse_response(bytes, type, form)) {
    const auto again = write_response(*response, type, form);
    holds(again.has_value() && *again == to_bytes(bytes));
  }
  holds(!withdrawal->finish(bytes).has_value());
  return 0;
}
