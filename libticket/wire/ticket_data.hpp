// What a TLS ticket carries beside its session.
#pragma once

#include "wire/attribution.hpp"

namespace ticket::wire {

// Only with a table may early data come with the ticket, and only where that table is
// (replay/flights.hpp).
struct TicketData {
  Attribution attribution;
  ByteArray<8> table{};  // its name; zero = none

  bool operator==(const TicketData&) const = default;
};
constexpr std::size_t max_ticket_data_size = attribution_size + 8;

// Fills the beginning of `out`; gives how many bytes.
std::size_t write_ticket_data(const TicketData& data,
                              std::span<std::byte, max_ticket_data_size> out);
[[nodiscard]] Checked<TicketData> parse_ticket_data(BytesView bytes);

}  // namespace ticket::wire
