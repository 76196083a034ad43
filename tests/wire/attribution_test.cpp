#include "wire/attribution.hpp"

#include "wire/changes.hpp"

namespace ticket::wire {

TEST_SUITE("attribution") {
  const Attribution attribution{7, sys_seconds(seconds(1'790'000'000)),
                                sys_seconds(seconds(1'790'000'060)), name_hash("a.test")};

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

  TEST_CASE("a name's hash knows no case, and no name has none") {
    CHECK(name_hash("A.Test") == name_hash("a.test"));
    CHECK(name_hash("a.test") != name_hash("b.test"));
    CHECK(name_hash("") == ByteArray<8>{});
    CHECK(name_hash(std::string(255, 'x')) != name_hash(std::string(254, 'x')));
  }

  TEST_CASE("nothing behind a long name is cut off, however long it is") {
    for (const std::size_t size : {190, 191, 255, 256, 319, 320, 321, 1000}) {
      CAPTURE(size);
      const std::string text(size, 'x');
      CHECK(name_hash(text + "1") != name_hash(text + "2"));
    }
  }
}

}  // namespace ticket::wire
