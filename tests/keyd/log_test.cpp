#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "log_line.hpp"
#include "refusal_log.hpp"

using namespace std::chrono_literals;
using ticket::sys_seconds;

namespace {

const std::chrono::system_clock::time_point moment{1'790'000'000'123ms};

std::string text_of(const std::string& message) {
  return keyd::text_line({moment, "warning", "front", message});
}

}  // namespace

TEST_SUITE("log") {
  TEST_CASE("a line of text is grepped, one of JSON is parsed") {
    CHECK(text_of("it rains") == "2026-09-21T14:13:20.123Z front warning it rains");

    const auto json = nlohmann::json::parse(keyd::json_line(
        {moment, "warning", "front", "it rains"},
        {.pool = "web", .address = "192.0.2.1", .reason = "role", .generation = 7}));
    CHECK(json == nlohmann::json{{"time", "2026-09-21T14:13:20.123Z"},
                                 {"level", "warning"},
                                 {"process", "front"},
                                 {"message", "it rains"},
                                 {"pool", "web"},
                                 {"address", "192.0.2.1"},
                                 {"reason", "role"},
                                 {"generation", 7}});
  }

  TEST_CASE("nothing that a peer says ends a line or steers a terminal") {
    struct {
      std::string said, shown;
    } const cases[] = {
        {"Zürich 東京 🎟", "Zürich 東京 🎟"},
        {"a\nb\rc\td", "a\\nb\\x0dc\\x09d"},
        {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
        {"\xc2\x9b"
         "2J",
         "\\u{9b}2J"},  // CSI in one character
        {"\xe2\x80\xae"
         "gpj",
         "\\u{202e}gpj"},                     // turns the direction of writing
        {"\xe2\x80\xa8", "\\u{2028}"},        // a line end of Unicode
        {"\xff\xc0\x80", "\\xff\\xc0\\x80"},  // no UTF-8
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},  // a surrogate
        {"\xe2\x82", "\\xe2\\x82"},           // cut short
        {std::string("a\0b", 3), "a\\x00b"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.shown);
      CHECK(keyd::escaped(one.said) == one.shown);
      const auto json = keyd::json_line({moment, "info", "front", one.said}, {.member = one.said});
      for (const char c : json) CHECK((c >= ' ' && c < 0x7f));
      CHECK(nlohmann::json::parse(json).at("process") == "front");
    }
  }

  TEST_CASE("every byte comes out printable in both formats") {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    for (const unsigned char c : text_of(all)) CHECK((c >= ' ' && c < 0x7f));
  }

  TEST_CASE("of many refusals the first are told, the others summed up in a minute") {
    keyd::RefusalLog log;
    const sys_seconds noon{1'790'000'000s};
    int told = 0;
    for (int i = 0; i < 1000; ++i) {
      told += log.tell("role", "192.0.2." + std::to_string(i % 250) + " port 1", noon + 1s) ? 1 : 0;
    }
    CHECK(told == 5);
    CHECK(log.tell("role", "198.51.100.1 port 1", noon + 1s));  // another network
    CHECK(log.tell("tls", "192.0.2.1 port 1", noon + 1s));      // another reason
    CHECK(log.due(noon + 60s).empty());

    const auto sums = log.due(noon + 61s);
    REQUIRE(sums.size() == 1);
    CHECK(sums[0].prefix == "192.0.2.0/24");
    CHECK(sums[0].reason == "role");
    CHECK(sums[0].count == 995);

    CHECK_FALSE(log.tell("role", "192.0.2.9", noon + 62s));  // it goes on: no more lines
    CHECK(log.due(noon + 121s).at(0).count == 1);
    CHECK(log.due(noon + 181s).empty());                // quiet for a minute
    CHECK(log.tell("role", "192.0.2.9", noon + 182s));  // news again
  }

  TEST_CASE("promise 10: refusals of before a clock was set back are summed up, new ones told") {
    keyd::RefusalLog log;
    const sys_seconds noon{1'790'000'000s};
    for (int i = 0; i < 7; ++i) {
      log.tell("role", "192.0.2.1 port 1", noon + 30 * 24h);
      log.tell("tls", "192.0.2.1 port 1", noon + 30 * 24h);
    }
    CHECK(log.due(noon).empty());

    CHECK(log.tell("role", "192.0.2.1 port 1", noon));
    CHECK(log.due(noon + 59s).empty());
    const auto sums = log.due(noon + 60s);
    REQUIRE(sums.size() == 2);  // also of those that tried no more
    for (const auto& sum : sums) CHECK(sum.count == 2);
    CHECK(log.due(noon + 120s).empty());
  }

  TEST_CASE("promise 10: whoever is refused first after a clock was set back is told at once") {
    keyd::RefusalLog log;
    const sys_seconds noon{1'790'000'000s};
    for (int i = 0; i < 7; ++i) log.tell("role", "192.0.2.1 port 1", noon + 30 * 24h);
    CHECK(log.tell("role", "192.0.2.1 port 1", noon));
  }

  TEST_CASE("who comes from everywhere costs no memory") {
    keyd::RefusalLog log;
    const sys_seconds noon{1'790'000'000s};
    int told = 0;
    for (int i = 0; i < 100'000; ++i) {
      const auto address = "10." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
      told += log.tell("tls", address + ".1", noon) ? 1 : 0;
    }
    CHECK(told <= static_cast<int>(keyd::RefusalLog::most_known) * 5 + 5);
    const auto sums = log.due(noon + 61s);
    CHECK(std::ranges::count(sums, keyd::RefusalLog::elsewhere, &keyd::RefusalLog::Sum::prefix) ==
          1);
  }

  TEST_CASE("an address is cut to its network") {
    CHECK(keyd::address_prefix("192.0.2.7 port 4242") == "192.0.2.0/24");
    CHECK(keyd::address_prefix("2001:db8:1:2:3::7 port 1") == "2001:db8:1:2::/64");
    CHECK(keyd::address_prefix("::ffff:192.0.2.7") == "192.0.2.0/24");
    CHECK(keyd::address_prefix("unknown") == "unknown");
  }
}
