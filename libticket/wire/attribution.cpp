#include "wire/attribution.hpp"

#include <algorithm>

#include "crypto/digest.hpp"

namespace ticket::wire {

namespace {

constexpr std::uint8_t version = 1;

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
  std::array<std::byte, max_name_size> lower;
  const auto size = std::min(server_name.size(), lower.size());
  for (std::size_t i = 0; i < size; ++i) {
    const char c = server_name[i];
    lower[i] = static_cast<std::byte>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  const auto hash = crypto::sha256(BytesView(lower).first(size));
  return to_array(std::span(hash).first<8>());
}

}  // namespace ticket::wire
