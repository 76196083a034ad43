#include "top_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "text.hpp"

namespace ticketctl {

namespace {

// One digit behind the point where it says something.
std::string rate_text(double rate) {
  return rate > 0 && rate < 100 ? fmt::format("{:.1f}", rate) : fmt::format("{:.0f}", rate);
}

// "unknown_key 3.0, expired 1.0": the largest first, nothing for none.
std::string refused_text(const PoolRates& rates) {
  std::vector<std::pair<double, std::string>> reasons;
  for (const auto& [reason, rate] : rates.refused) {
    if (rate > 0) reasons.emplace_back(-rate, reason);
  }
  std::ranges::sort(reasons);
  std::string text;
  for (const auto& [rate, reason] : reasons) {
    text += (text.empty() ? "" : ", ") + printable(reason) + " " + rate_text(-rate);
  }
  return text.empty() ? "-" : text;
}

// What became of the tickets that were offered.
std::string share_text(const PoolRates& rates) {
  double offered = rates.resumed;
  for (const auto& [reason, rate] : rates.refused) offered += rate;
  return offered > 0 ? fmt::format("{:.0f}%", 100 * rates.resumed / offered) : "-";
}

Colour colour_of(const TopRow& row) {
  if (!row.error.empty() || row.counts.state == "stopped" || row.counts.state == "none") {
    return Colour::red;
  }
  return row.counts.state == "ok" ? Colour::plain : Colour::yellow;
}

}  // namespace

std::vector<std::string> top_lines(const std::vector<TopRow>& rows, const Terminal& terminal) {
  std::vector<std::vector<std::string>> cells = {
      {"pool", "host", "state", "epoch", "sealed/s", "resumed/s", "of offered", "refused/s"}};
  for (const auto& row : rows) {
    if (!row.error.empty()) {
      cells.push_back({"-", row.host});
      continue;
    }
    cells.push_back({printable(row.pool), row.host, printable(row.counts.state),
                     row.counts.sealing_epoch == 0 ? "-" : std::to_string(row.counts.sealing_epoch),
                     rate_text(row.rates.sealed), rate_text(row.rates.resumed),
                     share_text(row.rates), refused_text(row.rates)});
  }
  auto lines = table(cells);
  lines[0] = coloured(terminal, Colour::dim, lines[0]);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].error.empty()) lines[i + 1] += "  " + printable(rows[i].error);
    lines[i + 1] = coloured(terminal, colour_of(rows[i]), lines[i + 1]);
  }
  return lines;
}

nlohmann::ordered_json top_json(const std::vector<TopRow>& rows) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    if (!row.error.empty()) {
      list.push_back({{"host", row.host}, {"error", row.error}});
      continue;
    }
    list.push_back({{"pool", row.pool},
                    {"host", row.host},
                    {"state", row.counts.state},
                    {"sealing_epoch", row.counts.sealing_epoch},
                    {"sealed_per_second", row.rates.sealed},
                    {"resumed_per_second", row.rates.resumed},
                    {"refused_per_second", row.rates.refused}});
  }
  return {{"rows", list}};
}

}  // namespace ticketctl
