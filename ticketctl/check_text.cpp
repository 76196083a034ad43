#include "check_text.hpp"

#include <algorithm>
#include <map>

#include "text.hpp"

namespace ticketctl {

namespace {

using Lines = std::vector<std::string>;

std::string number(std::size_t server) { return std::to_string(server + 1); }

std::string arrow(std::size_t from, std::size_t to) { return number(from) + "->" + number(to); }

// Enough to tell keys and certificates apart by eye.
std::string shortened(const std::string& hex) { return hex.empty() ? "-" : hex.substr(0, 12); }

std::string lifetime(const Shake& shake) {
  if (shake.tickets == 0) return "-";
  return shake.lifetime_hint == 0 ? "not said" : rough(ticket::seconds(shake.lifetime_hint));
}

void append(Lines& lines, const Lines& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

Lines server_lines(const CheckPlan& plan, const CheckReport& report, const Terminal& terminal) {
  auto sights = report.servers;
  std::ranges::stable_sort(sights, {}, &ServerSight::server);
  std::vector<Lines> rows = {
      {"", "server", "name", "TLS", "tickets", "key name", "lifetime", "certificate", ""}};
  for (const auto& sight : sights) {
    Lines row = {number(sight.server), to_text(plan.servers[sight.server]),
                 sight.name.empty() ? "-" : sight.name, to_text(sight.version)};
    if (sight.shake.ok()) {
      append(row, {std::to_string(sight.shake.tickets), shortened(sight.shake.key_name),
                   lifetime(sight.shake), shortened(sight.shake.certificate),
                   sight.shake.asks_certificate ? "asks for a client certificate" : ""});
    }
    rows.push_back(row);
  }
  auto lines = table(rows);
  lines[0] = coloured(terminal, Colour::dim, lines[0]);
  for (std::size_t i = 0; i < sights.size(); ++i) {
    if (sights[i].shake.ok()) continue;
    lines[i + 1] += "  " + coloured(terminal, Colour::red, failure(sights[i]));
  }
  return lines;
}

// The pairs of one version and name, in rows.
using Group = std::pair<TlsVersion, std::string>;

std::map<Group, std::vector<PairSight>> matrices(const CheckPlan& plan, const CheckReport& report) {
  std::map<Group, std::vector<PairSight>> groups;
  for (const auto& pair : report.pairs) {
    // without --name each row has a name of its own, and all are one matrix
    groups[{pair.version, plan.names.empty() ? "" : pair.name}].push_back(pair);
  }
  return groups;
}

Lines matrix_lines(const CheckPlan& plan, const std::vector<PairSight>& pairs,
                   const Terminal& terminal) {
  const auto count = plan.servers.size();
  std::vector<Lines> rows(count + 1);
  rows[0] = {"", "ticket from"};
  for (std::size_t i = 0; i < count; ++i) {
    rows[0].push_back("to " + number(i));
    rows[i + 1] = {number(i), to_text(plan.servers[i])};
    rows[i + 1].resize(count + 2);
  }
  std::vector<bool> whole(count, true);
  for (const auto& pair : pairs) {
    rows[pair.from + 1][pair.to + 2] = to_cell(pair.verdict);
    if (pair.verdict != Verdict::resumes) whole[pair.from] = false;
  }
  auto lines = table(rows);
  lines[0] = coloured(terminal, Colour::dim, lines[0]);
  for (std::size_t i = 0; i < count; ++i) {
    lines[i + 1] = coloured(terminal, whole[i] ? Colour::green : Colour::yellow, lines[i + 1]);
  }
  return lines;
}

// "TLS 1.2: 1->2 2->1": where something holds, a line for each version and name.
class Places {
 public:
  void add(TlsVersion version, const std::string& name, std::string place) {
    auto& places = found_[{version, name}];
    if (std::ranges::find(places, place) == places.end()) places.push_back(std::move(place));
  }
  Lines lines(std::size_t width) const {
    Lines lines;
    for (const auto& [group, places] : found_) {
      std::string line = std::string("      TLS ") + to_text(group.first) +
                         (group.second.empty() ? "" : ", " + group.second) + ":";
      for (const auto& place : places) line += " " + place;
      append(lines, wrapped(line, width, 8));
    }
    return lines;
  }
  bool empty() const { return found_.empty(); }

 private:
  std::map<Group, Lines> found_;
};

Lines explanation_lines(const CheckReport& report, const Terminal& terminal) {
  // servers' own troubles stand in the table of servers
  std::map<Verdict, Places> reasons;
  Places by_id, runs_dry;
  for (const auto& pair : report.pairs) {
    const auto place = arrow(pair.from, pair.to);
    if (pair.verdict != Verdict::resumes && !is_of_server(pair.verdict)) {
      reasons[pair.verdict].add(pair.version, pair.name, place);
    }
    if (pair.by_id) by_id.add(pair.version, pair.name, place);
    if (pair.no_new_ticket && !pair.by_id) runs_dry.add(pair.version, pair.name, number(pair.to));
  }
  Lines lines;
  const auto tell = [&](const std::string& text, const Places& places) {
    append(lines, wrapped("  " + text, terminal.width, 4));
    append(lines, places.lines(terminal.width));
  };
  for (const auto& [verdict, places] : reasons) {
    tell(std::string(to_cell(verdict)) + ": " + explain(verdict, TlsVersion::v1_3), places);
  }
  if (!by_id.empty()) {
    tell("note: resumed from the server's own memory of sessions, not by a ticket", by_id);
  }
  if (!runs_dry.empty()) {
    tell(
        "note: no new ticket comes with a resumption; a client that uses each ticket once runs "
        "dry (HAProxy does so)",
        runs_dry);
  }
  return lines;
}

Lines name_lines(const CheckReport& report, const Terminal& terminal) {
  std::map<Apart, Places> found;
  for (const auto& sight : report.names) {
    found[sight.apart].add(sight.version, sight.name + " under " + sight.under,
                           arrow(sight.from, sight.to));
  }
  Lines lines;
  for (const auto& [apart, places] : found) {
    append(lines,
           wrapped(std::string("  ") + to_text(apart) + ": " + explain(apart), terminal.width, 4));
    append(lines, places.lines(terminal.width));
  }
  return lines;
}

Lines result_lines(const CheckReport& report, const Terminal& terminal) {
  const auto resumed = std::ranges::count(report.pairs, Verdict::resumes, &PairSight::verdict);
  const auto of = std::to_string(report.pairs.size());
  Lines lines = {coloured(terminal, report.all_resume() ? Colour::green : Colour::red,
                          report.all_resume()
                              ? "All pairs resume (" + of + ")."
                              : std::to_string(resumed) + " of " + of + " pairs resume.")};
  if (report.names.empty()) return lines;
  lines.push_back(coloured(terminal, report.names_apart() ? Colour::green : Colour::red,
                           report.names_apart()
                               ? "The names are kept apart."
                               : "The names are not kept apart, or that cannot be told."));
  return lines;
}

}  // namespace

Lines check_lines(const CheckPlan& plan, const CheckReport& report, const Terminal& terminal) {
  auto lines = server_lines(plan, report, terminal);
  if (plan.client.ca.empty()) lines.push_back("  (certificates are not verified without --ca)");
  for (const auto& [group, pairs] : matrices(plan, report)) {
    lines.push_back("");
    lines.push_back(coloured(terminal, Colour::bold,
                             std::string("TLS ") + to_text(group.first) +
                                 (group.second.empty() ? "" : ", " + group.second)));
    append(lines, matrix_lines(plan, pairs, terminal));
  }
  if (const auto explained = explanation_lines(report, terminal); !explained.empty()) {
    lines.push_back("");
    append(lines, explained);
  }
  if (!report.names.empty()) {
    lines.push_back("");
    lines.push_back(coloured(terminal, Colour::bold, "A ticket of one name offered under another"));
    append(lines, name_lines(report, terminal));
  }
  lines.push_back("");
  append(lines, result_lines(report, terminal));
  return lines;
}

}  // namespace ticketctl
