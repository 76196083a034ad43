#include "text.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

#include "endpoint.hpp"

using namespace ticketctl;
using namespace std::chrono_literals;
using ticket::sys_seconds;

TEST_SUITE("text") {
  TEST_CASE("a time is as short as its day allows") {
    setenv("TZ", "UTC", 1);
    tzset();
    const sys_seconds noon{std::chrono::seconds(1'799'928'000)};  // Thu 2027-01-14
    struct {
      sys_seconds time;
      const char* text;
    } const times[] = {
        {noon, "12:00"},
        {noon - 12h, "00:00"},
        {noon - 12h - 1s, "Wed 23:59"},
        {noon + 12h, "Fri 00:00"},
        {noon + 5 * 24h, "Tue 12:00"},
        {noon + 7 * 24h, "Jan 21"},
        {noon - 30 * 24h, "2026-12-15"},
        {sys_seconds{}, "never"},
    };

    for (const auto& expected : times) {
      CAPTURE(expected.text);
      CHECK(short_time(expected.time, noon, Detail::minutes) == expected.text);
    }
    CHECK(short_time(noon + 9s, noon, Detail::seconds) == "12:00:09");
  }

  TEST_CASE("a rough duration has one unit") {
    CHECK(rough(0s) == "0 s");
    CHECK(rough(-5s) == "0 s");
    CHECK(rough(59s) == "59 s");
    CHECK(rough(60s) == "1 min");
    CHECK(rough(3599s) == "59 min");
    CHECK(rough(1h) == "1 h");
    CHECK(rough(49h) == "2 d");
  }

  TEST_CASE("nothing that keyd says can steer the terminal") {
    CHECK(printable("a\x1b[2Jb\nc\x7f") == "a?[2Jb?c?");
    CHECK(printable("\xc2\x9b"
                    "2J") == "??2J");
    CHECK(printable("Zürich") == "Zürich");
  }

  TEST_CASE("a table aligns its columns, numbers to the right") {
    const auto lines = table({{"", "name", "n"}, {"9", "Zürich", "7"}, {"10", "b", "100"}});

    CHECK(lines ==
          std::vector<std::string>{"      name      n", "   9  Zürich    7", "  10  b       100"});
  }

  TEST_CASE("an endpoint is HOST:PORT, and IPv6 stands in brackets") {
    struct {
      const char *text, *host;
      int port;
    } const good[] = {
        {"127.0.0.1:7443", "127.0.0.1", 7443},
        {"keyd.example.org:1", "keyd.example.org", 1},
        {"[::1]:65535", "::1", 65535},
    };
    for (const auto& expected : good) {
      CAPTURE(expected.text);
      const auto endpoint = parse_endpoint(expected.text);
      REQUIRE(endpoint.has_value());
      CHECK(endpoint->host == expected.host);
      CHECK(endpoint->port == expected.port);
      CHECK(to_text(*endpoint) == expected.text);
    }
    for (const char* text : {"", ":", "7443", "host", "host:", ":7443", "host:0", "host:65536",
                             "host:-1", "host:7443x", "host: 7443", "::1:7443", "[host]:7443",
                             "[::1:7443", "::1]:7443", "ho st:7443", "ho\"st:7443", "[]:1"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_endpoint(text).has_value());
    }
  }

  TEST_CASE("long lines are broken between words, and what follows is indented") {
    using Lines = std::vector<std::string>;
    CHECK(wrapped("one two three", 8, 2) == Lines{"one two", "  three"});
    CHECK(wrapped("  one two", 20, 4) == Lines{"  one two"});
    CHECK(wrapped("immeasurable is a word", 6, 2) == Lines{"immeasurable", "  is a", "  word"});
    CHECK(wrapped("", 8, 2).empty());
  }
}
