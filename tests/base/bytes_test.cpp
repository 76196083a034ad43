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

  TEST_CASE("padded base64url has one spelling for each value, RFC 4648, section 10") {
    const struct {
      const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xfb\xff", "-_8="}};
    for (const auto& c : cases) {
      CAPTURE(c.text);
      CHECK(base64url_padded(as_bytes(c.plain)) == c.text);
      const auto back = from_base64url_padded(c.text);
      REQUIRE(back.has_value());
      CHECK(as_text(*back) == c.plain);
    }
    for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8==", "=",
                             "==", "====", "Z===", "Zg==Zg==", "Zg=a", "+/8=", "Zm9v ", " Zm9",
                             "Zm9\n", "Z\xffg=", "Zm9vA", "=Zm9"}) {
      CAPTURE(text);
      CHECK_FALSE(from_base64url_padded(text).has_value());
    }
  }

  TEST_CASE("padded base64url of every length and byte goes both ways") {
    Bytes bytes;
    for (int i = 0; i < 600; ++i) {
      const auto text = base64url_padded(bytes);
      const auto back = from_base64url_padded(text);
      REQUIRE(back.has_value());
      CHECK(*back == bytes);
      bytes.push_back(static_cast<std::byte>(i * 7));
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
