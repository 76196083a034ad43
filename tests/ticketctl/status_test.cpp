#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

#include "command.hpp"
#include "status_text.hpp"

using namespace ticketctl;
using nlohmann::json;

namespace {

constexpr long noon = 1'799'928'000;  // 2027-01-14, 12:00 UTC

json epoch_answer() {
  return {{"number", 3},
          {"id", "00"},
          {"made", noon - 21600},
          {"seals_from", noon},
          {"seals_until", noon + 3600},
          {"opens_until", noon + 46800},
          {"burned", false},
          {"state", "sealing"}};
}

json member_answer(const char* name, std::uint64_t applied, long last_seen) {
  return {{"number", 1},
          {"name", name},
          {"enrolled_at", noon - 100},
          {"last_seen", last_seen},
          {"applied", applied},
          {"address", "192.0.2.1:5000"}};
}

// As the bytes of keyd would be read: json::parse makes numbers unsigned.
json status_answer() {
  const json answer = {{"ok", true},
                       {"version", "0.1.0"},
                       {"now", noon + 600},
                       {"pools",
                        {{{"name", "web"},
                          {"generation", 77},
                          {"issued_at", noon},
                          {"not_after", noon + 46800},
                          {"policy", json::object()},
                          {"epochs", {epoch_answer()}},
                          {"members",
                           {member_answer("web1", 77, noon + 598),
                            member_answer("web2", 76, noon + 300), member_answer("web3", 0, 0)}},
                          {"alarms", {"no epoch seals: the members send no tickets"}}}}}};
  return json::parse(answer.dump());
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace

TEST_SUITE("status") {
  TEST_CASE("a pool is shown whole: alarms, members, epochs") {
    setenv("TZ", "UTC", 1);
    tzset();

    CHECK(joined(status_lines(read_status(status_answer()), {80, false, false})) ==
          "keyd 0.1.0, serving:\n"
          "\n"
          "web  generation 77, issued 12:00:00\n"
          "  ALARM no epoch seals: the members send no tickets\n"
          "\n"
          "     member  applied             seen       from\n"
          "  1  web1    current             2 s ago    192.0.2.1:5000\n"
          "  1  web2    behind, for 10 min  5 min ago  192.0.2.1:5000\n"
          "  1  web3    nothing yet         never      192.0.2.1:5000\n"
          "\n"
          "                06:00     now 12:10:00                    Fri 01:00\n"
          "                +---------------|---------------------------------+\n"
          "   3 sealing    ................###================================  until 13:00\n"
          "                . announced  # sealing  = opening  | now\n");
  }

  TEST_CASE("members of all pools are one table") {
    setenv("TZ", "UTC", 1);
    tzset();
    const auto status = read_status(status_answer());

    const auto lines = member_lines(status.pools, status.now);
    REQUIRE(lines.size() == 4);
    CHECK(lines[1] ==
          "  web        1  web1    11:58     current             2 s ago    192.0.2.1:5000");
    CHECK(member_lines({}, status.now) == std::vector<std::string>{"no member has enrolled yet"});
  }

  TEST_CASE("a member that knows more than keyd is not called behind") {
    auto answer = status_answer();
    answer["pools"][0]["members"][0]["applied"] = 78u;
    const auto status = read_status(answer);

    CHECK(member_lines(status.pools, status.now)[1].find("ahead of keyd") != std::string::npos);
  }

  TEST_CASE("promise 15: an answer that lacks a field, or has it wrong, is refused by its name") {
    const auto good = status_answer();
    const struct {
      const char *path, *field;
    } fields[] = {{"", "now"},
                  {"", "version"},
                  {"", "pools"},
                  {"/pools/0", "name"},
                  {"/pools/0", "generation"},
                  {"/pools/0", "issued_at"},
                  {"/pools/0", "epochs"},
                  {"/pools/0", "members"},
                  {"/pools/0", "alarms"},
                  {"/pools/0/epochs/0", "number"},
                  {"/pools/0/epochs/0", "state"},
                  {"/pools/0/epochs/0", "made"},
                  {"/pools/0/epochs/0", "opens_until"},
                  {"/pools/0/members/0", "name"},
                  {"/pools/0/members/0", "applied"},
                  {"/pools/0/members/0", "last_seen"},
                  {"/pools/0/members/0", "address"}};

    CHECK_NOTHROW(read_status(good));
    for (const auto& at : fields) {
      for (const json& wrong : {json(), json(-1), json(1e30), json(json::object()), json(true)}) {
        CAPTURE(at.field);
        auto answer = good;
        answer[json::json_pointer(at.path)][at.field] = wrong;
        try {
          read_status(answer);
          FAIL_CHECK("accepted");
        } catch (const CommandError& error) {
          CHECK(error.code == exit_unreachable);
          CHECK(std::string(error.what()).find(at.field) != std::string::npos);
        }
      }
    }
  }

  TEST_CASE("epochs whose times run backwards, or beyond all bounds, are refused") {
    for (const char* field : {"made", "seals_from", "seals_until"}) {
      CAPTURE(field);
      auto answer = status_answer();
      answer["pools"][0]["epochs"][0][field] = 1'900'000'000u;
      CHECK_THROWS_AS(read_status(answer), CommandError);
      answer["pools"][0]["epochs"][0][field] = 18'000'000'000'000'000'000u;
      CHECK_THROWS_AS(read_status(answer), CommandError);
    }
  }
}
