#include "token/challenge.hpp"

#include <algorithm>

#include "wire/cursor.hpp"

namespace ticket::token {

namespace {

// Names come to logs and headers: nothing in them may end a line or steer a terminal.
bool visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Checked<std::string> parse_text(wire::Cursor& cursor) {
  const auto text = as_text(TRY(cursor.take(TRY(cursor.integer<std::uint16_t>()))));
  if (!visible(text)) return reject(Rejection::malformed);
  return std::string(text);
}

void write_text(wire::Writer& writer, std::string_view text) {
  writer.integer(static_cast<std::uint16_t>(text.size())).bytes(as_bytes(text));
}

bool writable(std::string_view text) { return visible(text) && text.size() <= 0xffff; }

}  // namespace

std::vector<std::string_view> Challenge::origins() const {
  std::vector<std::string_view> names;
  for (std::string_view rest = origin_info; !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    if (comma > 0) names.push_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return names;
}

Checked<Challenge> parse_challenge(BytesView bytes, const TokenTypes& types) {
  wire::Cursor cursor(bytes);
  Challenge challenge;
  challenge.type = TRY(types.type(TRY(cursor.integer<std::uint16_t>())));
  challenge.issuer = TRY(parse_text(cursor));
  const auto context = TRY(cursor.short_field());
  if (context.size() == 32) {
    challenge.redemption_context = to_array(context.first<32>());
  } else if (!context.empty()) {
    return reject(Rejection::malformed);
  }
  challenge.origin_info = TRY(parse_text(cursor));
  TRY(cursor.end());
  if (challenge.issuer.empty()) return reject(Rejection::malformed);
  return challenge;
}

Checked<Bytes> write_challenge(const Challenge& challenge, const TokenTypes& types) {
  const auto code = TRY(types.code(challenge.type));
  if (challenge.issuer.empty() || !writable(challenge.issuer) || !writable(challenge.origin_info)) {
    return reject(Rejection::malformed);
  }
  BytesView context;
  if (challenge.redemption_context) context = *challenge.redemption_context;
  Bytes bytes(2 + 2 + challenge.issuer.size() + 1 + context.size() + 2 +
              challenge.origin_info.size());
  wire::Writer writer(bytes);
  writer.integer(code);
  write_text(writer, challenge.issuer);
  writer.short_field(context);
  write_text(writer, challenge.origin_info);
  return bytes;
}

}  // namespace ticket::token
