// Whatever parses, alone or as a batch, is written back to the same bytes, and an issuer
// answers it or says why not. The first byte chooses the form.
#include "fuzz.hpp"
#include "token/issuer.hpp"
#include "wire/layout.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket;
  using namespace ticket::token;
  static const TokenTypes types(TokenTypes::ristretto_draft_code);
  static const auto key = IssuerKey::generate(TokenType::ristretto);
  if (size == 0) return 0;
  const auto form = data[0] % 2 == 0 ? Form::single : Form::batch;
  const auto bytes = bytes_of(data + 1, size - 1);
  if (const auto request = parse_request(bytes, form, types)) {
    const auto again = write_request(*request, form, types);
    holds(again.has_value() && *again == to_bytes(bytes));
    holds(request->blinded.size() <= wire::max_token_batch);
    if (const auto answer = key.issue(*request, form)) {
      const auto response = parse_response(*answer, request->type, form);
      holds(response.has_value() && response->evaluated.size() == request->blinded.size());
    }
  }
  return 0;
}
