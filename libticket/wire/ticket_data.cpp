#include "wire/ticket_data.hpp"

#include "wire/cursor.hpp"

namespace ticket::wire {

std::size_t write_ticket_data(const TicketData& data,
                              std::span<std::byte, max_ticket_data_size> out) {
  const bool has_table = !all_zero(data.table);
  const auto size = has_table ? max_ticket_data_size : attribution_size;
  Writer writer(out.first(size));
  write_attribution(data.attribution, writer);
  if (has_table) writer.bytes(data.table);
  return size;
}

Checked<TicketData> parse_ticket_data(BytesView bytes) {
  Cursor cursor(bytes);
  TicketData data{TRY(parse_attribution(TRY(cursor.take(attribution_size)))), {}};
  if (cursor.end()) return data;
  data.table = TRY(cursor.array<8>());
  TRY(cursor.end());
  if (all_zero(data.table)) return reject(Rejection::malformed);
  return data;
}

}  // namespace ticket::wire
