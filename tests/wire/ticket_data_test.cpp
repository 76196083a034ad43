#include "wire/ticket_data.hpp"

#include <algorithm>

#include "wire/changes.hpp"

namespace ticket::wire {

TEST_SUITE("ticket data") {
  const ByteArray<8> name_hash{std::byte{1}, std::byte{8}};
  const Attribution attribution{7, sys_seconds(seconds(1'790'000'000)),
                                sys_seconds(seconds(1'790'000'060)), name_hash};

  TEST_CASE("a ticket's data has the name of a table, or nothing behind the attribution") {
    const auto written = [](const TicketData& data) {
      ByteArray<max_ticket_data_size> bytes{};
      const auto size = write_ticket_data(data, bytes);
      return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    };
    const TicketData bare{attribution, {}};
    const auto alone = write_attribution(attribution);
    CHECK(written(bare) == Bytes(alone.begin(), alone.end()));
    CHECK(parse_ticket_data(written(bare)) == bare);

    const TicketData named{attribution, {std::byte{1}, {}, {}, {}, {}, {}, {}, std::byte{2}}};
    const auto bytes = written(named);
    CHECK(bytes.size() == 35);
    CHECK(parse_ticket_data(bytes) == named);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK(parse_ticket_data(BytesView(bytes).first(size)).has_value() == (size == 27));
    }
    no_flipped_bit_goes_unseen(bytes, parse_ticket_data,
                               [&](const TicketData& parsed) { return parsed == named; });
    auto zero = bytes;
    std::fill(zero.end() - 8, zero.end(), std::byte{0});
    CHECK_FALSE(parse_ticket_data(zero).has_value());  // one value, one encoding
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(parse_ticket_data(longer).has_value());
  }
}

}  // namespace ticket::wire
