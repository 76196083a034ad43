// Sealing and opening tickets whose payload the caller owns. Layout: RFC 5077,
// section 4 (wire/layout.hpp).
#pragma once

#include <optional>

#include "ring/live_ring.hpp"

namespace ticket::seal {

// A ticket fits the u16 length that TLS gives it (RFC 8446, 4.6.1).
constexpr std::size_t max_payload = 65'420;

// The size of a ticket with this much payload (0 to max_payload bytes).
std::size_t ticket_size(std::size_t payload);
// The most that a ticket of this size can hold, at most 15 bytes more than it
// does hold; nullopt for a size that no ticket has.
std::optional<std::size_t> payload_room(std::size_t ticket);

struct Wish {
  std::optional<sys_seconds> born;  // of the ticket that is renewed; none: a lineage begins
  std::optional<seconds> lifetime;  // none: the policy's, which is also the most
};

// Writes a ticket to `out`, which has ticket_size() of the payload and does not
// overlap it. Rejects with no_key, or with lineage when `born` is too long ago.
// Counts either way.
[[nodiscard]] Checked<bool> seal(ring::LiveRing& ring, int context, Moment now, BytesView payload,
                                 const Wish& wish, std::span<std::byte> out);

// What a ticket says of itself, as far as it was read.
struct Label {
  std::uint32_t epoch = 0;   // number; 0 = not known
  std::uint16_t minter = 0;  // member number; 0 = not known
  bool renew = false;        // a newer epoch seals
  std::optional<sys_seconds> born, sealed, expires;
};

// Writes the payload to `out`, which has payload_room() of the ticket and does
// not overlap it; returns its size. Rejects with malformed, unknown_key, context,
// expired, forged, lineage or revoked and leaves `out` alone, filling in `label`
// as far as it got. Counts either way.
[[nodiscard]] Checked<std::size_t> open(ring::LiveRing& ring, int context, Moment now,
                                        BytesView ticket, std::span<std::byte> out, Label& label);

}  // namespace ticket::seal
