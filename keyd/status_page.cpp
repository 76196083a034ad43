#include "status_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "log_line.hpp"
#include "version.hpp"

namespace keyd {

using ticket::sys_seconds;

namespace {

constexpr auto style = R"(:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .15rem 1.2rem .15rem 0; }
th { font-weight: 600; border-bottom: 1px solid; } td { font-variant-numeric: tabular-nums; }
.alarm { border-left: 4px solid #c62828; padding: .3rem .8rem; background: #c6282822; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: currentColor; } .announced { fill: #29b6f6; opacity: .45; }
.sealing { fill: #2e9d48; } .opening { fill: #8a8f98; opacity: .6; } .burned { fill: #c62828; }
.now { stroke: #ef6c00; stroke-width: 2; } footer { margin-top: 3rem; opacity: .7; }
)";

// Of the drawing, in its own units.
constexpr double label_width = 120, bars_width = 760, row_height = 22, bar_height = 14;

struct Scale {
  std::int64_t from, until;

  double x(std::int64_t time) const {
    const auto inside = std::clamp(time, from, until);
    return label_width +
           bars_width * static_cast<double>(inside - from) / static_cast<double>(until - from);
  }
};

Scale scale_of(const std::vector<EpochReport>& epochs, std::int64_t now) {
  Scale scale{now, now + 1};
  for (const auto& epoch : epochs) {
    scale.from = std::min(scale.from, epoch.made);
    scale.until = std::max(scale.until, epoch.opens_until);
  }
  return scale;
}

std::string bar(const Scale& scale, std::size_t row, const char* what, std::int64_t from,
                std::int64_t until) {
  if (until <= from) return {};
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\">"
      "<title>{} from {} to {}</title></rect>",
      what, scale.x(from), static_cast<double>(row) * row_height + 4,
      std::max(scale.x(until) - scale.x(from), 1.0), bar_height, what, utc_text(from),
      utc_text(until));
}

std::string bars(const Scale& scale, std::size_t row, const EpochReport& epoch, std::int64_t now) {
  const bool burned = epoch.state == "burned";
  const bool stretched = epoch.state == "sealing" && now > epoch.seals_until;
  const auto seals_until = stretched ? now : epoch.seals_until;
  return bar(scale, row, burned ? "burned" : "announced", epoch.made, epoch.seals_from) +
         bar(scale, row, burned ? "burned" : "sealing", epoch.seals_from, seals_until) +
         bar(scale, row, burned ? "burned" : "opening", seals_until, epoch.opens_until);
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : escaped(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string utc_text(std::int64_t unix_seconds) {
  if (unix_seconds == 0) return "never";
  const std::time_t time = unix_seconds;
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) return "beyond all calendars";
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string time_line_svg(const std::vector<EpochReport>& epochs, sys_seconds when) {
  if (epochs.empty()) return {};
  const auto now = when.time_since_epoch().count();
  const auto scale = scale_of(epochs, now);
  const auto bottom = static_cast<double>(epochs.size()) * row_height;
  auto svg = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"epochs over time\">",
      label_width + bars_width, bottom + row_height);
  for (std::size_t row = 0; row < epochs.size(); ++row) {
    svg += fmt::format("<text x=\"0\" y=\"{:.1f}\">{} {}</text>",
                       static_cast<double>(row) * row_height + 15, epochs[row].number,
                       html_escaped(epochs[row].state));
    svg += bars(scale, row, epochs[row], now);
  }
  svg += fmt::format(
      "<line class=\"now\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.1f}\"/>"
      "<text x=\"{2:.1f}\" y=\"{3:.1f}\">{4}</text>"
      "<text x=\"{5:.1f}\" y=\"{3:.1f}\" text-anchor=\"end\">{6}</text></svg>",
      scale.x(now), bottom, label_width, bottom + 15, utc_text(scale.from),
      label_width + bars_width, utc_text(scale.until));
  return svg;
}

StatusPage::StatusPage(const std::string& title)
    : html_(
          "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
          "<meta http-equiv=\"refresh\" content=\"10\"><title>" +
          html_escaped(title) + "</title><style>" + style + "</style></head><body><h1>" +
          html_escaped(title) + "</h1>\n") {}

void StatusPage::heading(std::string_view text) {
  html_ += "<h2>" + html_escaped(text) + "</h2>\n";
}

void StatusPage::paragraph(std::string_view text) {
  html_ += "<p>" + html_escaped(text) + "</p>\n";
}

void StatusPage::alarm(std::string_view text) {
  html_ += "<p class=\"alarm\">" + html_escaped(text) + "</p>\n";
}

void StatusPage::time_line(const std::vector<EpochReport>& epochs, sys_seconds now) {
  html_ += time_line_svg(epochs, now) + "\n";
}

void StatusPage::table(const std::vector<std::vector<std::string>>& rows) {
  html_ += "<table>";
  auto cell = "th";
  for (const auto& row : rows) {
    html_ += "<tr>";
    for (const auto& text : row) html_ += fmt::format("<{0}>{1}</{0}>", cell, html_escaped(text));
    html_ += "</tr>\n";
    cell = "td";
  }
  html_ += "</table>\n";
}

std::string StatusPage::take(sys_seconds now) {
  html_ += fmt::format(
      "<footer>keyd {}, {} UTC; <a href=\"/metrics\">metrics</a></footer></body></html>\n", version,
      utc_text(now.time_since_epoch().count()));
  return std::move(html_);
}

std::string authority_page(const Report& report, sys_seconds now) {
  StatusPage page("keyd authority");
  for (const auto& pool : report.pools) {
    page.heading("Pool " + pool.name);
    for (const auto& alarm : pool.alarms) page.alarm(alarm.text);
    page.paragraph(fmt::format(
        "generation {}, issued {}, good until {}; of {} members {} were seen in the last minute, "
        "{} of them run on it",
        pool.generation, utc_text(pool.issued_at), utc_text(pool.not_after), pool.enrolled,
        pool.seen, pool.current));
    page.time_line(pool.epochs, now);
    std::vector<std::vector<std::string>> rows{{"member", "name", "applied", "last seen", "from"}};
    for (const auto& member : pool.members) {
      rows.push_back({std::to_string(member.number), member.name, std::to_string(member.applied),
                      utc_text(member.last_seen), member.address});
    }
    if (!pool.members.empty()) page.table(rows);
    if (pool.members.size() < pool.enrolled) {
      page.paragraph(fmt::format("{} more, all seen and not further behind",
                                 pool.enrolled - pool.members.size()));
    }
  }
  if (report.pools.empty()) page.paragraph("the keeper has said nothing yet");
  return page.take(now);
}

}  // namespace keyd
