#include "wire/attribution.hpp"

#include <algorithm>

#include "crypto/digest.hpp"

namespace ticket::wire {

namespace {

constexpr std::uint8_t version = 1;

// A name, NUL and the hex of a SHA-256: the longest that any stack has hashed.
constexpr std::size_t longest_text = max_name_size + 1 + 64;

}  // namespace

ByteArray<attribution_size> write_attribution(const Attribution& attribution) {
  ByteArray<attribution_size> bytes;
  Writer writer(bytes);
  write_attribution(attribution, writer);
  return bytes;
}

void write_attribution(const Attribution& attribution, Writer& writer) {
  writer.integer(version)
      .integer(attribution.minter)
      .time(attribution.born)
      .time(attribution.sealed)
      .bytes(attribution.name_hash);
}

Checked<Attribution> parse_attribution(BytesView bytes) {
  Cursor cursor(bytes);
  if (TRY(cursor.integer<std::uint8_t>()) != version) return reject(Rejection::malformed);
  Attribution attribution;
  attribution.minter = TRY(cursor.integer<std::uint16_t>());
  attribution.born = TRY(cursor.time());
  attribution.sealed = TRY(cursor.time());
  attribution.name_hash = TRY(cursor.array<8>());
  TRY(cursor.end());
  return attribution;
}

ByteArray<8> name_hash(std::string_view server_name) {
  if (server_name.empty()) return {};
  std::array<std::byte, longest_text> lower;
  auto text = as_bytes(server_name);
  // Hashed as it is rather than cut: the client chooses the name, and what stands behind it
  // must count.
  if (text.size() <= lower.size()) {
    std::ranges::transform(server_name, lower.begin(), [](char c) {
      return static_cast<std::byte>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    text = BytesView(lower).first(text.size());
  }
  const auto hash = crypto::sha256(text);
  return to_array(std::span(hash).first<8>());
}

}  // namespace ticket::wire
