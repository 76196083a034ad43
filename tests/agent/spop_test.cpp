#include "spop.hpp"

#include <doctest/doctest.h>

#include "agent/flips.hpp"

using namespace keyd::spop;
using ticket::Bytes;
using ticket::BytesView;

namespace {

Value text(std::string_view text) { return {Value::Kind::string, 0, text}; }
Value number(std::uint64_t number) { return {Value::Kind::uint32, number, {}}; }

// HAProxy 2.6's own hello.
std::vector<Field> hello_fields() {
  return {{"supported-versions", text("2.0")},
          {"max-frame-size", number(16380)},
          {"capabilities", text("pipelining,async")},
          {"engine-id", text("8f3c2a52-5f6b-4d0e-9a3a-1b6f0e8b7c11")}};
}

Bytes without_length(const Bytes& frame) { return {frame.begin() + 4, frame.end()}; }

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

}  // namespace

TEST_SUITE("spop") {
  TEST_CASE("numbers are encoded as SPOE.txt, section 3.1, says") {
    const struct {
      std::uint64_t number;
      Bytes bytes;
    } cases[] = {{0, bytes_of({0})},
                 {239, bytes_of({0xef})},
                 {240, bytes_of({0xf0, 0x00})},
                 {2287, bytes_of({0xff, 0x7f})},
                 {2288, bytes_of({0xf0, 0x80, 0x00})},
                 {264431, bytes_of({0xff, 0xff, 0x7f})},
                 {264432, bytes_of({0xf0, 0x80, 0x80, 0x00})}};
    for (const auto& c : cases) {
      CAPTURE(c.number);
      // a field of that number
      auto payload = bytes_of({1, 'n', 3});
      payload.insert(payload.end(), c.bytes.begin(), c.bytes.end());

      const auto fields = parse_fields(payload);

      REQUIRE(fields.has_value());
      CHECK(fields->at(0) == Field{"n", number(c.number)});
      CHECK(write_fields(*fields) == payload);
    }
  }

  TEST_CASE("a number of ten bytes is none") {
    auto payload = bytes_of({1, 'n', 3, 0xff});
    payload.insert(payload.end(), 8, std::byte{0xff});
    payload.push_back(std::byte{0});
    CHECK_FALSE(parse_fields(payload).has_value());
  }

  TEST_CASE("each kind of value comes back as it was written") {
    const std::vector<Field> fields{{"null", {}},
                                    {"yes", {Value::Kind::boolean, 1, {}}},
                                    {"no", {Value::Kind::boolean, 0, {}}},
                                    {"int32", {Value::Kind::int32, 7, {}}},
                                    {"uint64", {Value::Kind::uint64, 1ULL << 50, {}}},
                                    {"v4", {Value::Kind::ipv4, 0, "abcd"}},
                                    {"v6", {Value::Kind::ipv6, 0, "0123456789abcdef"}},
                                    {"", text("")},
                                    {"binary", {Value::Kind::binary, 0, "\x01\x02"}}};

    const auto written = write_fields(fields);  // what is parsed are views into it
    const auto parsed = parse_fields(written);

    REQUIRE(parsed.has_value());
    CHECK(*parsed == fields);
    CHECK_FALSE(parsed->at(0).value.text().has_value());
    CHECK(parsed->at(8).value.text() == "\x01\x02");
  }

  TEST_CASE("HAProxy's hello is taken") {
    const auto payload = write_fields(hello_fields());

    const auto hello = parse_hello(payload);

    REQUIRE(hello.has_value());
    CHECK(hello->max_frame_size == 16380);
    CHECK_FALSE(hello->health_check);
  }

  TEST_CASE("a hello that lacks something is refused with the status that says so") {
    const struct {
      std::size_t field;
      std::optional<Field> instead;
      Status status;
    } cases[] = {
        {0, {}, Status::no_version},
        {0, Field{"supported-versions", number(2)}, Status::no_version},
        {0, Field{"supported-versions", text("1.0, 3.0")}, Status::other_version},
        {0, Field{"supported-versions", text("")}, Status::other_version},
        {1, {}, Status::no_frame_size},
        {1, Field{"max-frame-size", text("16380")}, Status::no_frame_size},
        {1, Field{"max-frame-size", number(255)}, Status::bad_frame_size},
        {2, {}, Status::no_capabilities},
    };
    for (const auto& c : cases) {
      CAPTURE(to_text(c.status));
      auto fields = hello_fields();
      if (c.instead) {
        fields[c.field] = *c.instead;
      } else {
        fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(c.field));
      }
      const auto payload = write_fields(fields);

      const auto hello = parse_hello(payload);

      REQUIRE_FALSE(hello.has_value());
      CHECK(hello.error() == c.status);
    }
    CHECK(parse_hello(bytes_of({3})).error() == Status::invalid);
  }

  TEST_CASE("of several versions one that is ours is enough") {
    auto fields = hello_fields();
    fields[0].value = text("1.0, 2.0");
    fields.push_back({"healthcheck", {Value::Kind::boolean, 1, {}}});
    const auto payload = write_fields(fields);

    const auto hello = parse_hello(payload);

    REQUIRE(hello.has_value());
    CHECK(hello->health_check);
  }

  TEST_CASE("messages come back, and no truncation of them is mistaken for messages of ours") {
    const std::vector<Message> messages{
        {"ticket-token",
         {{"header", text("PrivateToken token=\"AA==\"")}, {"origin", text("a.test")}}},
        {"other", {}}};
    const auto payload = write_messages(messages);

    const auto parsed = parse_messages(payload);

    REQUIRE(parsed.has_value());
    CHECK(*parsed == messages);
    for (std::size_t size = 0; size < payload.size(); ++size) {
      CAPTURE(size);
      const auto part = parse_messages(BytesView(payload).first(size));
      if (part) CHECK(part->size() < messages.size());
    }
  }

  TEST_CASE("every truncated and every flipped frame parses to something or is malformed") {
    const auto payload = write_messages({{"ticket-token", {{"header", text("x")}}}});
    const auto frame = without_length(write_frame(
        {static_cast<std::uint8_t>(FrameType::notify), flag_final, 300, 70000, payload}));
    const auto whole = parse_frame(frame);
    REQUIRE(whole.has_value());
    CHECK(whole->stream == 300);
    CHECK(whole->id == 70000);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const auto part = parse_frame(BytesView(frame).first(size));
      if (part) CHECK(part->payload.size() < payload.size());
    }
    test::each_flip(frame, [](const Bytes& flipped) {
      const auto parsed = parse_frame(flipped);
      if (parsed) static_cast<void>(parse_messages(parsed->payload));
    });
  }

  TEST_CASE("an acknowledgement sets variables of the transaction, byte by byte") {
    const auto ack = write_ack(1, 2, {{Scope::transaction, "status", "ok"}});
    auto expected = bytes_of({0, 0, 0, 21, 103, 0, 0, 0, 1, 1, 2, 1, 3, 2, 6});
    for (const char c : std::string("status")) expected.push_back(static_cast<std::byte>(c));
    for (const int c : {8, 2, int{'o'}, int{'k'}}) expected.push_back(static_cast<std::byte>(c));
    CHECK(ack == expected);
  }
}
