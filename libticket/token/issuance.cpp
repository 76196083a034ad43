#include "token/issuance.hpp"

#include <algorithm>

#include "crypto/voprf.hpp"
#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace ticket::token {

namespace {

Checked<bool> check(TokenType type, Form form) {
  if (form == Form::batch && type == TokenType::blind_rsa) return reject(Rejection::unsupported);
  return true;
}

std::size_t proof_size(TokenType type) {
  return type == TokenType::blind_rsa ? 0 : crypto::voprf::proof_size;
}

// The elements of a batch after their length in bytes, which is believed last: it is
// compared with what there is before anything is made of it.
Checked<std::vector<BytesView>> parse_elements(wire::Cursor& cursor, TokenType type, Form form) {
  const auto size = element_size(type);
  std::uint64_t length = size;
  if (form == Form::batch) length = TRY(cursor.varint());
  if (length == 0 || length % size != 0 || length > wire::max_token_batch * size ||
      length > cursor.remaining()) {
    return reject(Rejection::malformed);
  }
  std::vector<BytesView> elements(length / size);
  for (auto& element : elements) element = TRY(cursor.take(size));
  return elements;
}

Checked<std::size_t> elements_length(const std::vector<BytesView>& elements, TokenType type,
                                     Form form) {
  const auto size = element_size(type);
  const auto most = form == Form::batch ? wire::max_token_batch : 1;
  if (elements.empty() || elements.size() > most ||
      !std::ranges::all_of(elements, [&](BytesView e) { return e.size() == size; })) {
    return reject(Rejection::malformed);
  }
  return elements.size() * size;
}

void write_elements(wire::Writer& writer, const std::vector<BytesView>& elements, Form form,
                    std::size_t length) {
  if (form == Form::batch) writer.varint(length);
  for (const auto element : elements) writer.bytes(element);
}

std::size_t varint_size(Form form, std::size_t length) {
  return form == Form::batch ? wire::Writer::varint_size(length) : 0;
}

}  // namespace

Checked<TokenRequest> parse_request(BytesView bytes, Form form, const TokenTypes& types) {
  wire::Cursor cursor(bytes);
  TokenRequest request;
  request.type = TRY(types.type(TRY(cursor.integer<std::uint16_t>())));
  TRY(check(request.type, form));
  request.truncated_key_id = TRY(cursor.integer<std::uint8_t>());
  request.blinded = TRY(parse_elements(cursor, request.type, form));
  TRY(cursor.end());
  return request;
}

Checked<Bytes> write_request(const TokenRequest& request, Form form, const TokenTypes& types) {
  TRY(check(request.type, form));
  const auto code = TRY(types.code(request.type));
  const auto length = TRY(elements_length(request.blinded, request.type, form));
  Bytes bytes(2 + 1 + varint_size(form, length) + length);
  wire::Writer writer(bytes);
  writer.integer(code).integer(request.truncated_key_id);
  write_elements(writer, request.blinded, form, length);
  return bytes;
}

Checked<TokenResponse> parse_response(BytesView bytes, TokenType type, Form form) {
  TRY(check(type, form));
  wire::Cursor cursor(bytes);
  TokenResponse response;
  response.evaluated = TRY(parse_elements(cursor, type, form));
  response.proof = TRY(cursor.take(proof_size(type)));
  TRY(cursor.end());
  return response;
}

Checked<Bytes> write_response(const TokenResponse& response, TokenType type, Form form) {
  TRY(check(type, form));
  const auto length = TRY(elements_length(response.evaluated, type, form));
  if (response.proof.size() != proof_size(type)) return reject(Rejection::malformed);
  Bytes bytes(varint_size(form, length) + length + response.proof.size());
  wire::Writer writer(bytes);
  write_elements(writer, response.evaluated, form, length);
  writer.bytes(response.proof);
  return bytes;
}

}  // namespace ticket::token
