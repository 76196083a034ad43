#include "wire/attribution.hpp"

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

}  // namespace ticket::wire
