#include "wire/attribution.hpp"

#include "wire/changes.hpp"

namespace ticket::wire {

TEST_SUITE("attribution") {
  const ByteArray<8> name_hash{std::byte{1}, std::byte{8}};
  const Attribution attribution{7, sys_seconds(seconds(1'790'000'000)),
                                sys_seconds(seconds(1'790'000'060)), name_hash};

  TEST_CASE("it comes back as it went") {
    const auto bytes = write_attribution(attribution);

    CHECK(parse_attribution(bytes) == attribution);
    CHECK(hex(BytesView(bytes).first(19)) ==
          "010007"
          "000000006ab13b80"
          "000000006ab13bbc");
    refuses_every_truncation(bytes, parse_attribution);
    no_flipped_bit_goes_unseen(bytes, parse_attribution,
                               [](const Attribution& parsed) { return parsed == attribution; });
  }
}

}  // namespace ticket::wire
