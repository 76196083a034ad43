#include "wire/cursor.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace ticket::wire {

TEST_SUITE("cursor") {
  TEST_CASE("integers are big-endian") {
    const auto bytes = *from_hex("0102030405060708090a0b0c0d0e0f");
    Cursor cursor(bytes);

    CHECK(cursor.integer<std::uint8_t>() == 0x01);
    CHECK(cursor.integer<std::uint16_t>() == 0x0203);
    CHECK(cursor.integer<std::uint32_t>() == 0x04050607);
    CHECK(cursor.integer<std::uint64_t>() == 0x08090a0b0c0d0e0f);
    CHECK(cursor.end().has_value());
    CHECK_FALSE(cursor.integer<std::uint8_t>().has_value());
  }

  TEST_CASE("a field longer than what is left is malformed") {
    const auto bytes = *from_hex("03aabb");
    Cursor cursor(bytes);
    CHECK(cursor.short_field().error() == Rejection::malformed);

    const auto huge = *from_hex("ffffffff00");
    Cursor long_cursor(huge);
    CHECK(long_cursor.long_field().error() == Rejection::malformed);
  }

  TEST_CASE("times beyond the year 36812 are malformed") {
    const auto last = *from_hex("000000ffffffffff");
    const auto beyond = *from_hex("0000010000000000");
    CHECK(Cursor(last).time().has_value());
    CHECK_FALSE(Cursor(beyond).time().has_value());
  }

  TEST_CASE("a writer never writes past its buffer") {
    ByteArray<3> out{};
    Writer writer(out);

    writer.integer(std::uint16_t{0x0102});
    CHECK_THROWS_AS(writer.integer(std::uint16_t{3}), std::length_error);
    CHECK(writer.written() == 2);
    CHECK(out[2] == std::byte{0});
    Bytes room(300);
    CHECK_THROWS_AS(Writer(room).short_field(Bytes(256)), std::length_error);
  }

  TEST_CASE("varints of RFC 9000, appendix A.1, in their shortest form alone") {
    const struct {
      const char* bytes;
      std::uint64_t value;
    } cases[] = {{"c2197c5eff14e88c", 151288809941952652},
                 {"9d7f3e7d", 494878333},
                 {"7bbd", 15293},
                 {"25", 37}};
    for (const auto& c : cases) {
      CAPTURE(c.bytes);
      const auto bytes = *from_hex(c.bytes);
      CHECK(*Cursor(bytes).varint() == c.value);
      Bytes written(Writer::varint_size(c.value));
      Writer(written).varint(c.value);
      CHECK(hex(written) == c.bytes);
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK(Cursor(BytesView(bytes).first(size)).varint().error() == Rejection::malformed);
      }
    }
    for (const char* longer : {"4025", "403f", "80003fff", "c00000003fffffff"}) {
      CHECK(Cursor(*from_hex(longer)).varint().error() == Rejection::malformed);
    }
    Bytes written(8);
    CHECK_THROWS_AS(Writer(written).varint(std::uint64_t{1} << 62), std::length_error);
  }
}

}  // namespace ticket::wire
