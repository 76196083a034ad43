#include "channel.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messages.hpp"

using namespace keyd;

TEST_SUITE("channel") {
  TEST_CASE("frames come out whole, however the bytes arrive") {
    const auto bytes = frame("first", 100) + frame("second", 100);
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
      CAPTURE(step);
      FrameDecoder decoder(100);
      std::vector<std::string> texts;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        decoder.feed(std::string_view(bytes).substr(at, step));
        while (const auto text = decoder.next()) texts.push_back(*text);
      }
      CHECK(texts == std::vector<std::string>{"first", "second"});
      CHECK_FALSE(decoder.partial());
    }
  }

  TEST_CASE("no frame comes out of a truncation") {
    const auto bytes = frame("text", 100);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      FrameDecoder decoder(100);
      decoder.feed(std::string_view(bytes).substr(0, size));
      CHECK_FALSE(decoder.next().has_value());
    }
  }

  TEST_CASE("a length of zero or above the limit is refused before its bytes come") {
    FrameDecoder decoder(100);
    decoder.feed(std::string_view("\0\0\0\x65", 4));
    CHECK_THROWS_AS(decoder.next(), ChannelError);
    FrameDecoder empty(100);
    empty.feed(std::string_view("\0\0\0\0", 4));
    CHECK_THROWS_AS(empty.next(), ChannelError);
    CHECK_THROWS_AS(frame(std::string(101, 'x'), 100), ChannelError);
    CHECK_THROWS_AS(frame("", 100), ChannelError);
  }

  TEST_CASE("blocking ends see frames, the end, and an end in the middle of a frame") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    send_frame(pair[0], "hello", 100);
    CHECK(receive_frame(pair[1], 100) == "hello");

    SUBCASE("between frames") {
      ::close(pair[0]);
      CHECK_FALSE(receive_frame(pair[1], 100).has_value());
    }
    SUBCASE("inside one") {
      const auto bytes = frame("hello", 100);
      REQUIRE(::send(pair[0], bytes.data(), 6, 0) == 6);
      ::close(pair[0]);
      CHECK_THROWS_AS(receive_frame(pair[1], 100), ChannelError);
    }
    ::close(pair[1]);
  }
}

TEST_SUITE("messages") {
  TEST_CASE("each message arrives as it was sent") {
    const ToFront to_front[] = {
        Setup{{{"::1", "7443"}},
              "/a.pem",
              "/a.key",
              "CA",
              "info",
              {{"web", "CA", {{"web1", "", "", "DNS:web1"}}}}},
        Publish{"web", 18446744073709551615u, "{}", {{"web1", 65535, "AA"}}},
        AddWrap{"web", 2, {"web1", 1, "AA"}},
        Enrolled{7, 403, 0, 0, "no \"role\""},
        Stop{},
        keyd::ClockAccepted{}};
    for (const auto& message : to_front) {
      const auto text = write_message(message);
      CAPTURE(text);
      const auto parsed = parse_to_front(text);
      CHECK(parsed.index() == message.index());
      CHECK(write_message(parsed) == text);
    }
    const ToKeeper to_keeper[] = {SetUp{"", {"127.0.0.1:7443"}},
                                  Enrol{1, "web", "PEM", "AA", -5, "BB", "192.0.2.1"},
                                  SeenList{{{"web", "web1", 5, "192.0.2.1"}}}};
    for (const auto& message : to_keeper) {
      const auto text = write_message(message);
      CAPTURE(text);
      const auto parsed = parse_to_keeper(text);
      CHECK(parsed.index() == message.index());
      CHECK(write_message(parsed) == text);
    }
  }

  TEST_CASE("what does not parse is refused") {
    for (const char* text : {"", "{", "[]", "null", "{}", R"({"type": 1})", R"({"type": "order"})",
                             R"({"type": "seen"})", R"({"type": "seen", "members": [1]})",
                             R"({"type": "enrol", "id": "x"})", R"({"type": "publish"})"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(parse_to_keeper(text), ChannelError);
    }
  }

  TEST_CASE("bytes that are no UTF-8 do not stop the keeper") {
    CHECK_NOTHROW(write_message(ToFront(Enrolled{1, 403, 0, 0, "CN=\xff\xfe"})));
  }
}
