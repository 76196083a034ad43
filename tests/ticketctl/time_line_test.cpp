#include "time_line.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

using namespace ticketctl;
using namespace std::chrono_literals;
using ticket::sys_seconds;

namespace {

// Thursday, 2027-01-14, 12:00 UTC.
constexpr sys_seconds noon{std::chrono::seconds(1'799'928'000)};

void use_utc() {
  setenv("TZ", "UTC", 1);
  tzset();
}

DrawnEpoch epoch(std::uint32_t number, sys_seconds seals_from, const char* state) {
  return {number, seals_from - 6h, seals_from, seals_from + 1h, seals_from + 13h, state};
}

const Terminal plain{.width = 80, .unicode = false, .colour = false};
const Terminal rich{.width = 80, .unicode = true, .colour = false};

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace

TEST_SUITE("time line") {
  TEST_CASE("three epochs in ASCII, 80 columns wide") {
    use_utc();
    const std::vector<DrawnEpoch> epochs = {epoch(8, noon - 3h, "opening"),
                                            epoch(9, noon - 30min, "sealing"),
                                            epoch(10, noon + 2h, "announced")};

    CHECK(joined(draw_time_line(epochs, noon, plain)) ==
          "                03:00        now 12:00:00                 Fri 03:00\n"
          "                +------------------|------------------------------+\n"
          "   8 opening    .............##====|====================             gone 22:00\n"
          "   9 sealing         .............##==========================       until 12:30\n"
          "  10 announced             ........|...##==========================  seals 14:00\n"
          "                . announced  # sealing  = opening  | now\n");
  }

  TEST_CASE("the same in Unicode") {
    use_utc();
    const auto lines = draw_time_line({epoch(8, noon - 3h, "opening")}, noon, rich);

    REQUIRE(lines.size() == 4);
    CHECK(lines[1] == "                ├───────────────────────┼──────────────────────────┤");
    CHECK(lines[2] ==
          "   8 opening    ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈███━━━━━┿━━━━━━━━━━━━━━━━━━━━━━━━━━━  gone 22:00");
  }

  TEST_CASE("no line is wider than the terminal, at any width and any now") {
    use_utc();
    std::vector<DrawnEpoch> epochs;
    for (std::uint32_t i = 0; i < 20; ++i) {
      epochs.push_back(epoch(4'000'000'000 + i, noon + (static_cast<int>(i) - 12) * 1h, "opening"));
    }

    for (const std::size_t width : {60u, 61u, 80u, 200u}) {
      for (const auto shift : {-30h, -19h, -3h, 0h, 5h, 19h, 80h}) {
        CAPTURE(width);
        CAPTURE(shift.count());
        const auto lines = draw_time_line(epochs, noon + shift, {width, true, false});
        CHECK(lines.size() == epochs.size() + 3);
        for (const auto& line : lines) {
          CAPTURE(line);
          CHECK(columns(line) <= width);
        }
      }
    }
  }

  TEST_CASE("an epoch is seen sealing, however short that is on the scale") {
    use_utc();
    std::vector<DrawnEpoch> epochs = {epoch(1, noon - 1h, "sealing")};
    epochs.push_back({2, noon, noon + 1h, noon + 1h + 1s, noon + 2h, "announced"});
    epochs.push_back({3, noon, noon, noon + 1s, noon + 200h, "sealing"});

    const auto lines = draw_time_line(epochs, noon, plain);

    for (std::size_t row = 2; row < 5; ++row) {
      CAPTURE(lines[row]);
      CHECK(lines[row].find('#') != std::string::npos);
    }
  }

  TEST_CASE("an epoch that seals past its time is called stretched") {
    use_utc();
    const auto lines = draw_time_line({epoch(7, noon - 3h, "sealing")}, noon, plain);

    CHECK(lines[2].find("stretched") != std::string::npos);
    CHECK(lines[2].find("due 10:00") != std::string::npos);
    CHECK(std::count(lines[2].begin(), lines[2].end(), '#') > 5);  // 3 h of 19, not one
  }

  TEST_CASE("at the second of a rotation nothing is called stretched yet") {
    use_utc();
    const auto due = draw_time_line({epoch(7, noon - 1h, "sealing")}, noon, plain);
    const auto late = draw_time_line({epoch(7, noon - 1h, "sealing")}, noon + 2s, plain);

    CHECK(due[2].find("sealing") != std::string::npos);
    CHECK(late[2].find("stretched") != std::string::npos);
  }

  TEST_CASE("a burned epoch is crossed out") {
    use_utc();
    const auto lines = draw_time_line({epoch(7, noon - 3h, "burned")}, noon, plain);

    CHECK(lines[2].find_first_of(".#=") == std::string::npos);
    CHECK(lines[2].find("xxxxx") != std::string::npos);
    CHECK(lines[2].find("opens nothing") != std::string::npos);
  }

  TEST_CASE("a chart of a minute tells seconds") {
    use_utc();
    const auto lines =
        draw_time_line({{1, noon - 60s, noon, noon + 5s, noon + 65s, "sealing"}}, noon, plain);

    CHECK(lines[0].find("11:59:00") != std::string::npos);
    CHECK(lines[2].find("until 12:00:05") != std::string::npos);
  }

  TEST_CASE("without epochs nothing is drawn; times that do not move draw no nonsense") {
    CHECK(draw_time_line({}, noon, plain).empty());
    const auto lines = draw_time_line({{1, noon, noon, noon, noon, "wiped"}}, noon, plain);
    CHECK(lines.size() == 4);
  }

  TEST_CASE("colours are escapes only when the terminal has them") {
    const std::vector<DrawnEpoch> epochs = {epoch(9, noon - 30min, "sealing")};

    CHECK(joined(draw_time_line(epochs, noon, plain)).find('\x1b') == std::string::npos);
    CHECK(joined(draw_time_line(epochs, noon, {80, false, true})).find("\x1b[1;32msealing") !=
          std::string::npos);
  }
}
