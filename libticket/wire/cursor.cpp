#include "wire/cursor.hpp"

#include <stdexcept>

namespace ticket::wire {

Checked<std::uint64_t> Cursor::varint() {
  const auto first = std::to_integer<std::uint8_t>(TRY(take(1)).front());
  std::uint64_t value = first & 0x3f;
  const auto more = (1u << (first >> 6)) - 1;
  for (const auto byte : TRY(take(more))) value = value << 8 | std::to_integer<std::uint8_t>(byte);
  if (Writer::varint_size(value) != more + 1) return reject(Rejection::malformed);
  return value;
}

std::size_t Writer::varint_size(std::uint64_t value) {
  return value < 1 << 6 ? 1 : value < 1 << 14 ? 2 : value < 1 << 30 ? 4 : 8;
}

Writer& Writer::varint(std::uint64_t value) {
  if (value >> 62 != 0) throw std::length_error("wire: varint of more than 62 bits");
  switch (varint_size(value)) {
    case 1:
      return integer(static_cast<std::uint8_t>(value));
    case 2:
      return integer(static_cast<std::uint16_t>(value | 1u << 14));
    case 4:
      return integer(static_cast<std::uint32_t>(value | 2u << 30));
    default:
      return integer(value | std::uint64_t{3} << 62);
  }
}

void Writer::too_small() { throw std::length_error("wire: buffer too small"); }

Writer& Writer::short_field(BytesView field) {
  if (field.size() > 255) throw std::length_error("wire: field of more than 255 bytes");
  return integer(static_cast<std::uint8_t>(field.size())).bytes(field);
}

Writer& Writer::long_field(BytesView field) {
  if (field.size() > 0xffffffff) throw std::length_error("wire: field of more than 4 GiB");
  return integer(static_cast<std::uint32_t>(field.size())).bytes(field);
}

}  // namespace ticket::wire
