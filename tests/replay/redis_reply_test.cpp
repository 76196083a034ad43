#include "replay/redis_reply.hpp"

#include <doctest/doctest.h>

namespace ticket::replay {

namespace {

using Kind = RedisReply::Kind;

// All whole answers in `bytes`, fed `step` at a time, as text.
std::vector<std::string> read(std::string_view bytes, std::size_t step = 1'000'000) {
  RedisReader reader;
  std::vector<std::string> all;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(as_bytes(bytes.substr(at, step)));
    while (const auto* reply = reader.next()) {
      std::string text = std::to_string(static_cast<int>(reply->kind)) + " " + reply->text;
      if (reply->kind == Kind::integer) text += std::to_string(reply->number);
      for (const auto& element : reply->list) text += element + ",";
      all.push_back(text);
    }
    if (reader.broken()) {
      all.emplace_back("broken");
      break;
    }
  }
  return all;
}

std::string kind(Kind kind) { return std::to_string(static_cast<int>(kind)) + " "; }

}  // namespace

TEST_SUITE("redis reply") {
  TEST_CASE("each kind of answer, in whatever pieces it comes") {
    const std::string_view all =
        "+OK\r\n-ERR "
        "no\r\n:-1\r\n:1\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n$1\r\nn\r\n$0\r\n\r\n*0\r\n+\r\n";
    const std::vector<std::string> expected = {
        kind(Kind::status) + "OK",  kind(Kind::error) + "ERR no",
        kind(Kind::integer) + "-1", kind(Kind::integer) + "1",
        kind(Kind::text) + "a\r\n", kind(Kind::nil),
        kind(Kind::list) + "n,,",   kind(Kind::list),
        kind(Kind::status)};
    for (const std::size_t step : {1, 2, 3, 7, 1000}) {
      CAPTURE(step);
      CHECK(read(all, step) == expected);
    }
  }

  TEST_CASE("what is no answer breaks the reader for good") {
    const std::string large(RedisReader::max_reply + 100, 'x');
    std::string long_list = "*65\r\n";
    for (int i = 0; i < 65; ++i) long_list += "$1\r\nx\r\n";
    for (const std::string& bad :
         {std::string("x"), std::string("HTTP/1.1 400 Bad Request\r\n\r\n"),
          std::string("*1\r\n*1\r\n$1\r\nx\r\n"), std::string("*1\r\n:1\r\n"),
          std::string("*1\r\n+x\r\n"), std::string("*1\r\n$-1\r\n"), long_list,
          std::string("*2147483647\r\n"), std::string("*99999999999999999999\r\n"),
          ":" + std::string(30, '9') + "\r\n", std::string(":\r\n"), "+" + large,
          "$9999999\r\n" + large}) {
      CAPTURE(bad.substr(0, 40));
      const auto all = read(bad + "\r\n:0\r\n");
      REQUIRE(all.size() >= 1);
      CHECK(all.back() == "broken");
      CHECK(all.size() == 1);
    }
  }

  TEST_CASE("commands are what Redis reads") {
    std::string out = "x";
    append_command(out, {"GET", std::string_view("a\0\r\n", 4), ""});
    CHECK(out == std::string("x*3\r\n$3\r\nGET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n", 30));
  }

  TEST_CASE("what Redis says is one short line of a log") {
    CHECK(quoted("ERR a\r\nlevel=info \x1b[0m") == "ERR a??level=info ?[0m");
    CHECK(quoted(std::string(1000, 'x')).size() == 200);
  }
}

}  // namespace ticket::replay
