// Whatever parses is written back to the same bytes.
#include "fuzz.hpp"
#include "wire/ticket_data.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::wire;
  const auto bytes = bytes_of(data, size);
  if (const auto parsed = parse_ticket_data(bytes)) {
    ticket::ByteArray<max_ticket_data_size> again{};
    const auto written = write_ticket_data(*parsed, again);
    holds(std::ranges::equal(ticket::BytesView(again).first(written), bytes));
  }
  return 0;
}
