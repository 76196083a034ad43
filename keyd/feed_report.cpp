#include "feed_report.hpp"

namespace keyd {

namespace {

std::int64_t unix_seconds(ticket::sys_seconds time) { return time.time_since_epoch().count(); }

Labels labels(const HaproxySight& at) {
  return {{"pool", at.pool}, {"context", at.context}, {"socket", at.socket}};
}

Labels labels(const KeyFileSight& at) {
  return {{"pool", at.pool}, {"context", at.context}, {"file", at.file}};
}

template <class Sights, class Value>
void add_each(Exposition& out, const Sights& sights, Value value) {
  for (const auto& sight : sights) out.add(value(sight), labels(sight));
}

void write_haproxy(Exposition& out, const std::vector<HaproxySight>& sights) {
  out.gauge("ticket_haproxy_current", "1 while HAProxy holds the keys that it should.");
  add_each(out, sights, [](const auto& at) { return at.current ? 1 : 0; });
  out.gauge("ticket_haproxy_seen_timestamp_seconds",
            "When HAProxy last answered as it should; 0 = not yet.");
  add_each(out, sights, [](const auto& at) { return unix_seconds(at.last_seen); });
  out.counter("ticket_haproxy_feeds_total", "Times that keys were set in HAProxy.");
  add_each(out, sights, [](const auto& at) { return at.feeds; });
  out.counter("ticket_haproxy_failures_total",
              "Times that HAProxy was not there, did not answer, or refused.");
  add_each(out, sights, [](const auto& at) { return at.failures; });
}

void write_files(Exposition& out, const std::vector<KeyFileSight>& sights) {
  out.counter("ticket_keyfile_writes_total", "Key files written.");
  add_each(out, sights, [](const auto& at) { return at.writes; });
  out.counter("ticket_keyfile_failures_total", "Key files that could not be written.");
  add_each(out, sights, [](const auto& at) { return at.failures; });
  out.gauge("ticket_keyfile_written_timestamp_seconds",
            "When a key file was last written; 0 = not since the agent started.");
  add_each(out, sights, [](const auto& at) { return unix_seconds(at.last_write); });
  out.counter("ticket_keyfile_commands_total", "Runs of on_change that ended, by result.");
  for (const auto& at : sights) {
    if (!at.has_command) continue;
    auto with = labels(at);
    with.emplace_back("result", "ok");
    out.add(at.commands - at.commands_failed, with);
    with.back().second = "failed";
    out.add(at.commands_failed, with);
  }
}

}  // namespace

void write_feeds(Exposition& out, const FeedSight& sight) {
  if (!sight.haproxy.empty()) write_haproxy(out, sight.haproxy);
  if (!sight.files.empty()) write_files(out, sight.files);
}

void add_feeds(StatusPage& page, const FeedSight& sight) {
  if (sight.files.empty()) return;
  page.heading("Servers without the plugin");
  std::vector<std::vector<std::string>> haproxy{
      {"HAProxy at", "pool", "context", "keys", "last seen", "failures"}};
  for (const auto& at : sight.haproxy) {
    if (!at.trouble.empty()) page.alarm("HAProxy at " + at.socket + ": " + at.trouble);
    haproxy.push_back({at.socket, at.pool, at.context, at.current ? "current" : "not current",
                       utc_text(unix_seconds(at.last_seen)), std::to_string(at.failures)});
  }
  if (haproxy.size() > 1) page.table(haproxy);
  std::vector<std::vector<std::string>> files{
      {"key file", "pool", "context", "last written", "failures"}};
  for (const auto& at : sight.files) {
    if (!at.trouble.empty()) page.alarm(at.file + ": " + at.trouble);
    files.push_back({at.file, at.pool, at.context, utc_text(unix_seconds(at.last_write)),
                     std::to_string(at.failures + at.commands_failed)});
  }
  page.table(files);
  for (const auto& at : sight.files) {
    if (!at.cost.empty()) page.paragraph(at.file + ": " + at.cost);
  }
}

}  // namespace keyd
