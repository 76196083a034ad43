#include "wire/cursor.hpp"

#include <algorithm>
#include <stdexcept>

namespace ticket::wire {

Writer& Writer::bytes(BytesView bytes) {
  if (bytes.size() > out_.size() - written_) throw std::length_error("wire: buffer too small");
  std::ranges::copy(bytes, out_.begin() + static_cast<std::ptrdiff_t>(written_));
  written_ += bytes.size();
  return *this;
}

Writer& Writer::short_field(BytesView field) {
  if (field.size() > 255) throw std::length_error("wire: field of more than 255 bytes");
  return integer(static_cast<std::uint8_t>(field.size())).bytes(field);
}

Writer& Writer::long_field(BytesView field) {
  if (field.size() > 0xffffffff) throw std::length_error("wire: field of more than 4 GiB");
  return integer(static_cast<std::uint32_t>(field.size())).bytes(field);
}

}  // namespace ticket::wire
