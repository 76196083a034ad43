// The page for people on the metrics listener: plain HTML, no scripts, nothing
// fetched from elsewhere. What it shows was escaped.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "report.hpp"

namespace keyd {

std::string html_escaped(std::string_view text);

// "2026-01-31 12:00:05", UTC; "never" for 0.
std::string utc_text(std::int64_t unix_seconds);

// The epochs over time, a row each, oldest first, and where now is: an SVG
// element. Empty without epochs.
std::string time_line_svg(const std::vector<EpochReport>& epochs, ticket::sys_seconds now);

// A page put together from parts. Texts are escaped by it, `content` is not.
class StatusPage {
 public:
  explicit StatusPage(const std::string& title);

  void heading(std::string_view text);
  void paragraph(std::string_view text);
  void alarm(std::string_view text);
  void time_line(const std::vector<EpochReport>& epochs, ticket::sys_seconds now);
  // Rows of texts, the first one the heading.
  void table(const std::vector<std::vector<std::string>>& rows);

  std::string take(ticket::sys_seconds now);

 private:
  std::string html_;
};

// The authority's whole page.
std::string authority_page(const Report& report, ticket::sys_seconds now);

}  // namespace keyd
