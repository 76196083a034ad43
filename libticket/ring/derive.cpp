#include "ring/derive.hpp"

#include "crypto/digest.hpp"
#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace ticket::ring {

void derive_stek(BytesView secret, std::string_view purpose, std::string_view pool,
                 std::string_view context, std::span<std::byte> out) {
  std::array<std::byte, wire::derive_prefix.size() + 3 * (1 + wire::max_name_size)> info;
  wire::Writer writer(info);
  writer.bytes(as_bytes(wire::derive_prefix))
      .short_field(as_bytes(purpose))
      .short_field(as_bytes(pool))
      .short_field(as_bytes(context));
  crypto::hkdf_expand(secret, BytesView(info).first(writer.written()), out);
}

}  // namespace ticket::ring
