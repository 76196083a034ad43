// docs/grafana.json shows metrics that exist.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "support/process.hpp"

using nlohmann::json;

namespace {

std::set<std::string> matches(const std::string& text, const std::regex& wanted) {
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), wanted), end; match != end; ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

// The first column of the tables.
std::set<std::string> documented() {
  return matches(support::read_text(support::source_root() / "docs/metrics.md"),
                 std::regex("\\| `([a-z_]+)` \\|"));
}

std::set<std::string> metrics_in(const std::string& expression) {
  return matches(expression, std::regex("\\b((?:keyd|ticket)_[a-z_]+)"));
}

// Of the panels and of the variables.
std::vector<std::string> expressions(const json& dashboard) {
  std::vector<std::string> all;
  for (const auto& panel : dashboard.at("panels")) {
    for (const auto& target : panel.at("targets")) all.push_back(target.at("expr"));
  }
  for (const auto& variable : dashboard.at("templating").at("list")) {
    if (variable.at("type") == "query") all.push_back(variable.at("query"));
  }
  return all;
}

json dashboard() {
  return json::parse(support::read_text(support::source_root() / "docs/grafana.json"));
}

}  // namespace

TEST_SUITE("house") {
  TEST_CASE("every metric of the dashboard is documented, and every expression has one") {
    const auto known = documented();
    REQUIRE(known.contains("ticket_resumed_total"));
    const auto all = expressions(dashboard());
    CHECK(all.size() > 15);
    for (const auto& expression : all) {
      CAPTURE(expression);
      const auto named = metrics_in(expression);
      CHECK_FALSE(named.empty());
      for (const auto& metric : named) {
        CAPTURE(metric);
        CHECK(known.contains(metric));
      }
      for (const auto* brackets : {"()", "{}", "[]"}) {
        CHECK(std::ranges::count(expression, brackets[0]) ==
              std::ranges::count(expression, brackets[1]));
      }
    }
  }

  TEST_CASE("the dashboard shows what an operator asks first") {
    std::set<std::string> shown;
    for (const auto& expression : expressions(dashboard())) shown.merge(metrics_in(expression));
    for (const auto* metric :
         {"ticket_resumed_total", "ticket_refused_total", "ticket_ring_state",
          "ticket_ring_sealing_epoch", "ticket_keyd_contact_timestamp_seconds", "keyd_alarm"}) {
      CAPTURE(metric);
      CHECK(shown.contains(metric));
    }
  }

  TEST_CASE("panels do not overlap, and each has its number and its words") {
    std::set<int> numbers;
    std::set<std::pair<int, int>> taken;
    const auto whole = dashboard();
    for (const auto& panel : whole.at("panels")) {
      CAPTURE(panel.at("title").get<std::string>());
      CHECK(numbers.insert(panel.at("id").get<int>()).second);
      CHECK_FALSE(panel.at("description").get<std::string>().empty());
      const auto& place = panel.at("gridPos");
      CHECK(place.at("x").get<int>() + place.at("w").get<int>() <= 24);
      for (int x = 0; x < place.at("w"); ++x) {
        for (int y = 0; y < place.at("h"); ++y) {
          CHECK(taken.emplace(place.at("x").get<int>() + x, place.at("y").get<int>() + y).second);
        }
      }
    }
  }
}
