#include "spop_talk.hpp"

#include <doctest/doctest.h>

#include "agent/fake_desk.hpp"
#include "agent/flips.hpp"
#include "wire/cursor.hpp"

using keyd::SpopTalk;
using namespace keyd::spop;
using test::FakeDesk;
using test::Outcome;
using ticket::Bytes;
using ticket::BytesView;

namespace {

Value text(std::string_view text) { return {Value::Kind::string, 0, text}; }
Value number(std::uint64_t number) { return {Value::Kind::uint32, number, {}}; }

Bytes frame(FrameType type, BytesView payload, std::uint64_t stream = 0, std::uint64_t id = 0,
            std::uint32_t flags = flag_final) {
  return write_frame({static_cast<std::uint8_t>(type), flags, stream, id, payload});
}

Bytes hello(std::uint32_t size = 16380, bool check = false) {
  std::vector<Field> fields{{"supported-versions", text("2.0")},
                            {"max-frame-size", number(size)},
                            {"capabilities", text("pipelining,async")}};
  if (check) fields.push_back({"healthcheck", {Value::Kind::boolean, 1, {}}});
  return frame(FrameType::haproxy_hello, write_fields(fields));
}

Bytes question(std::uint64_t stream, std::uint64_t id, std::string_view header = "PrivateToken x",
               std::string_view origin = "a.test") {
  return frame(
      FrameType::notify,
      write_messages({{"ticket-token", {{"header", text(header)}, {"origin", text(origin)}}}}),
      stream, id);
}

// What an agent's frame says; the bytes live in `bytes`.
struct Said {
  Bytes bytes;
  std::vector<Frame> frames;
};

Said said(SpopTalk& talk) {
  Said said{talk.take_output(), {}};
  for (BytesView rest = said.bytes; !rest.empty();) {
    const auto size = *ticket::wire::Cursor(rest).integer<std::uint32_t>();
    REQUIRE(rest.size() >= 4 + size);
    const auto parsed = parse_frame(rest.subspan(4, size));
    REQUIRE(parsed.has_value());
    said.frames.push_back(*parsed);
    rest = rest.subspan(4 + size);
  }
  return said;
}

bool is(const Frame& frame, FrameType type) {
  return frame.type == static_cast<std::uint8_t>(type);
}

// The status with which an agent parts.
std::uint64_t parted(const Said& said) {
  REQUIRE_FALSE(said.frames.empty());
  REQUIRE(is(said.frames.back(), FrameType::agent_disconnect));
  const auto fields = parse_fields(said.frames.back().payload);
  REQUIRE(fields.has_value());
  return fields->at(0).value.number;
}

// An ack's variables as text: set-var, three arguments, scope, then name and value.
std::string variables(const Frame& ack) {
  std::string all;
  for (auto rest = ack.payload; !rest.empty();) {
    REQUIRE(rest[0] == std::byte{1});
    REQUIRE(rest[1] == std::byte{3});
    REQUIRE(rest[2] == std::byte{2});  // of the transaction
    const auto fields = parse_fields(rest.subspan(3));
    // the next action, if any, does not parse as a field: take the first by hand
    const auto name_size = std::to_integer<std::size_t>(rest[3]);
    const auto name = ticket::as_text(rest.subspan(4, name_size));
    const auto value_size = std::to_integer<std::size_t>(rest[5 + name_size]);
    REQUIRE(value_size < 240);
    const auto value = ticket::as_text(rest.subspan(6 + name_size, value_size));
    all += std::string(name) + "=" + std::string(value) + ";";
    rest = rest.subspan(6 + name_size + value_size);
  }
  return all;
}

struct Greeted {
  Greeted() {
    talk->take(hello());
    static_cast<void>(talk->take_output());
  }
  FakeDesk desk;
  std::shared_ptr<SpopTalk> talk = std::make_shared<SpopTalk>(desk);
};

}  // namespace

TEST_SUITE("spop talk") {
  TEST_CASE("a hello is answered with ours, and the smaller frame size") {
    for (const std::uint32_t size : {256U, 16380U, 100'000U}) {
      CAPTURE(size);
      FakeDesk desk;
      const auto talk = std::make_shared<SpopTalk>(desk);

      talk->take(hello(size));

      const auto answer = said(*talk);
      REQUIRE(answer.frames.size() == 1);
      CHECK(is(answer.frames[0], FrameType::agent_hello));
      const auto fields = parse_fields(answer.frames[0].payload);
      REQUIRE(fields.has_value());
      CHECK(fields->at(0) == Field{"version", text("2.0")});
      CHECK(fields->at(1).value.number == std::min(size, SpopTalk::most_frame_size));
      CHECK(fields->at(2).value.text() == "pipelining");
      CHECK_FALSE(talk->over());
    }
  }

  TEST_CASE("a health check gets our hello, and the connection ends") {
    FakeDesk desk;
    const auto talk = std::make_shared<SpopTalk>(desk);
    talk->take(hello(16380, true));
    CHECK(is(said(*talk).frames.at(0), FrameType::agent_hello));
    CHECK(talk->over());
  }

  TEST_CASE("promise 13: whatever the outcome, only `ok` reads ok in HAProxy") {
    for (std::size_t i = 0; i < ticket::redeem::outcome_count; ++i) {
      Greeted greeted;
      greeted.desk.outcome = static_cast<Outcome>(i);
      const std::string name = ticket::redeem::to_text(greeted.desk.outcome);
      CAPTURE(name);

      greeted.talk->take(question(1, 1));

      const auto answer = said(*greeted.talk);
      REQUIRE(answer.frames.size() == 1);
      const bool asks =
          greeted.desk.outcome != Outcome::ok && greeted.desk.outcome != Outcome::unknown;
      CHECK(variables(answer.frames[0]) ==
            "status=" + name + ";" + (asks ? "challenge=" + greeted.desk.challenged + ";" : ""));
    }
  }

  TEST_CASE("header and origin reach the desk, and no header is none") {
    Greeted greeted;
    greeted.talk->take(question(1, 1, "PrivateToken token=\"x\"", "b.test"));
    greeted.talk->take(
        frame(FrameType::notify,
              write_messages({{"ticket-token", {{"header", {}}, {"origin", text("c")}}}}), 1, 2));
    greeted.talk->take(frame(FrameType::notify, write_messages({{"ticket-token", {}}}), 1, 3));

    REQUIRE(greeted.desk.asked.size() == 3);
    CHECK(greeted.desk.asked[0].authorization == "PrivateToken token=\"x\"");
    CHECK(greeted.desk.asked[0].origin == "b.test");
    CHECK_FALSE(greeted.desk.asked[1].authorization.has_value());
    CHECK(greeted.desk.asked[1].origin == "c");
    CHECK_FALSE(greeted.desk.asked[2].authorization.has_value());
    CHECK(greeted.desk.asked[2].origin.empty());
  }

  TEST_CASE("questions are pipelined, and each answer names its own") {
    Greeted greeted;
    greeted.desk.at_once = false;
    auto both = question(300, 7);
    const auto second = question(5, 70000);
    both.insert(both.end(), second.begin(), second.end());
    for (const auto byte : both) greeted.talk->take(BytesView(&byte, 1));
    REQUIRE(greeted.desk.asked.size() == 2);

    greeted.desk.answer_last();
    greeted.desk.answer_last();

    const auto answers = said(*greeted.talk);
    REQUIRE(answers.frames.size() == 2);
    CHECK(answers.frames[0].stream == 5);
    CHECK(answers.frames[0].id == 70000);
    CHECK(answers.frames[1].stream == 300);
    CHECK(answers.frames[1].id == 7);
  }

  TEST_CASE("a message that is not ours, or two that are, set nothing") {
    Greeted greeted;
    const Message ours{"ticket-token", {{"header", text("x")}}};
    for (const auto& messages :
         {std::vector<Message>{{"other", {}}}, std::vector<Message>{ours, ours}, {}}) {
      greeted.talk->take(frame(FrameType::notify, write_messages(messages), 1, 9));
      const auto answer = said(*greeted.talk);
      REQUIRE(answer.frames.size() == 1);
      CHECK(is(answer.frames[0], FrameType::ack));
      CHECK(answer.frames[0].payload.empty());
    }
    CHECK(greeted.desk.asked.empty());
  }

  TEST_CASE("what breaks the rules is parted with, and nothing of it is asked") {
    const auto of = [](Bytes first, const Bytes& second) {
      first.insert(first.end(), second.begin(), second.end());
      return first;
    };
    const auto too_big = [] {
      Bytes bytes(4, std::byte{0});
      bytes[0] = std::byte{0x7f};
      return bytes;
    }();
    const struct {
      const char* what;
      Bytes bytes;
      Status status;
    } cases[] = {
        {"a question before the hello", question(1, 1), Status::invalid},
        {"a second hello", of(hello(), hello()), Status::invalid},
        {"a length beyond all frames", too_big, Status::too_big},
        {"a frame larger than agreed", of(hello(256), question(1, 1, std::string(300, 'x'))),
         Status::too_big},
        {"an empty frame", of(hello(), Bytes(4, std::byte{0})), Status::invalid},
        {"a fragment",
         of(hello(), frame(FrameType::notify, write_messages({{"ticket-token", {}}}), 1, 1, 0)),
         Status::fragmented},
        {"an unknown type", of(hello(), frame(static_cast<FrameType>(9), {})), Status::invalid},
        {"garbage in a question", of(hello(), frame(FrameType::notify, Bytes(3, std::byte{0xff}))),
         Status::invalid},
        {"a disconnect", of(hello(), frame(FrameType::haproxy_disconnect, {})), Status::normal},
        {"another version",
         frame(FrameType::haproxy_hello, write_fields({{"supported-versions", text("1.0")}})),
         Status::other_version},
        {"HTTP", ticket::to_bytes(ticket::as_bytes("GET / HTTP/1.1\r\n\r\n")), Status::too_big},
    };
    for (const auto& c : cases) {
      CAPTURE(c.what);
      FakeDesk desk;
      const auto talk = std::make_shared<SpopTalk>(desk);

      talk->take(c.bytes);

      CHECK(parted(said(*talk)) == static_cast<std::uint64_t>(c.status));
      CHECK(talk->over());
      CHECK(desk.asked.empty());
      talk->take(hello());
      CHECK(talk->take_output().empty());
    }
  }

  TEST_CASE("a challenge that no frame has room for is left out") {
    FakeDesk desk;
    desk.outcome = Outcome::missing;
    desk.challenged = std::string(300, 'c');
    const auto talk = std::make_shared<SpopTalk>(desk);
    talk->take(hello(256));
    static_cast<void>(talk->take_output());

    talk->take(question(1, 1));

    const auto answer = said(*talk);
    REQUIRE(answer.frames.size() == 1);
    CHECK(variables(answer.frames[0]) == "status=missing;");
  }

  TEST_CASE("every truncated and every flipped conversation ends well") {
    auto whole = hello();
    const auto ask = question(1, 1);
    whole.insert(whole.end(), ask.begin(), ask.end());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      FakeDesk desk;
      const auto talk = std::make_shared<SpopTalk>(desk);
      talk->take(BytesView(whole).first(size));
      CHECK(desk.asked.empty());
      CHECK_FALSE(talk->over());
    }
    test::each_flip(whole, [](const Bytes& flipped) {
      FakeDesk desk;
      const auto talk = std::make_shared<SpopTalk>(desk);
      talk->take(flipped);
      static_cast<void>(said(*talk));
    });
  }
}
