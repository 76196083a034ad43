// Who sealed a ticket and when: travels inside it. Hygiene and forensics; a
// thief of the key can forge it.
#pragma once

#include "base/bytes.hpp"
#include "base/checked.hpp"
#include "base/clock.hpp"
#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

struct Attribution {
  std::uint16_t minter = 0;  // member number, 0 = unknown
  sys_seconds born;          // the lineage's full handshake
  sys_seconds sealed;        // this ticket
  ByteArray<8> name_hash{};  // of what it was made for (wire/layout.hpp), zero = none

  bool operator==(const Attribution&) const = default;
};

ByteArray<attribution_size> write_attribution(const Attribution& attribution);
void write_attribution(const Attribution& attribution, Writer& writer);
[[nodiscard]] Checked<Attribution> parse_attribution(BytesView bytes);

}  // namespace ticket::wire
