#include "base/bytes.hpp"

#include <doctest/doctest.h>

namespace ticket {

TEST_SUITE("bytes") {
  TEST_CASE("hex goes both ways") {
    CHECK(hex(as_bytes("\x01\xab")) == "01ab");
    CHECK(as_text(*from_hex("6869")) == "hi");
    CHECK(from_hex("")->empty());
  }

  TEST_CASE("what is not hex is refused") {
    for (const char* text : {"0", "0g", "01 ", "0x01", "01\n"}) {
      CAPTURE(text);
      CHECK_FALSE(from_hex(text).has_value());
    }
  }

  TEST_CASE("base64url has one spelling for each value") {
    CHECK(base64url(as_bytes("\xfb\xff")) == "-_8");
    CHECK(as_text(*from_base64url("-_8")) == "\xfb\xff");
    CHECK(from_base64url("")->empty());
    for (const char* text : {"-_8=", "+/8", "-_9", "A", "-_8 ", "-\n_8"}) {
      CAPTURE(text);
      CHECK_FALSE(from_base64url(text).has_value());
    }
  }

  TEST_CASE("all_zero sees the last byte") {
    Bytes bytes(33);
    CHECK(all_zero(bytes));
    bytes.back() = std::byte{1};
    CHECK_FALSE(all_zero(bytes));
  }
}

}  // namespace ticket
