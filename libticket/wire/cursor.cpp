#include "wire/cursor.hpp"

#include <stdexcept>

namespace ticket::wire {

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
