#include "token_report.hpp"

#include <fmt/format.h>

namespace keyd {

using ticket::redeem::Outcome;
using ticket::replay::Doubt;
using ticket::replay::Verdict;

namespace {

// Counted by a small enumeration: a sample for each of its values.
template <class Enum, class Counts>
void add_each(Exposition& out, const std::string& pool, std::string_view label,
              const Counts& counts, std::size_t first = 0) {
  for (auto i = first; i < counts.size(); ++i) {
    const auto value = static_cast<Enum>(i);
    out.add(counts[i], {{"pool", pool}, {label, std::string(to_text(value))}});
  }
}

const char* name(Doubt doubt) {
  switch (doubt) {
    case Doubt::none:
      return "none";
    case Doubt::unconnected:
      return "unconnected";
    case Doubt::full:
      return "full";
    case Doubt::late:
      return "late";
    case Doubt::ended:
      return "ended";
    case Doubt::sentinel:
      return "sentinel";
    case Doubt::error:
      return "error";
  }
  return "other";
}

void write_redis(Exposition& out, const std::vector<TokenSight>& sights) {
  const auto each = [&](auto add) {
    for (const auto& at : sights) {
      if (at.redis) add(*at.redis, Labels{{"pool", at.pool}, {"redis", at.redis->address}});
    }
  };
  out.gauge("ticket_redis_ready", "1 while Redis may be asked what was spent.");
  each([&](const auto& redis, const Labels& with) { out.add(redis.ready ? 1 : 0, with); });
  out.counter("ticket_redis_answers_total", "Claims that Redis decided in time.");
  each([&](const auto& redis, const Labels& with) { out.add(redis.answers, with); });
  out.counter("ticket_redis_wait_seconds_total", "How long those were waited for, together.");
  each([&](const auto& redis, const Labels& with) {
    out.add(std::chrono::duration<double>(redis.waited).count(), with);
  });
  out.counter("ticket_redis_unknown_total", "Claims that Redis did not decide, by reason.");
  each([&](const auto& redis, Labels with) {
    with.emplace_back("reason", "");
    for (std::size_t i = 1; i < redis.doubts.size(); ++i) {
      with.back().second = name(static_cast<Doubt>(i));
      out.add(redis.doubts[i], with);
    }
  });
}

void write_tables(Exposition& out, const std::vector<TokenSight>& sights) {
  const auto each = [&](auto value) {
    for (const auto& at : sights) {
      for (const auto& table : at.tables) {
        out.add(value(table), {{"pool", at.pool}, {"epoch", std::to_string(table.epoch)}});
      }
    }
  };
  out.gauge("ticket_token_table_open", "1 while a table of what was spent can be asked.");
  each([](const auto& table) { return table.open ? 1 : 0; });
  out.gauge("ticket_token_table_load_ratio", "How full it is; at 0.67 its capacity is reached.");
  each([](const auto& table) { return table.load; });
  out.gauge("ticket_token_table_bytes", "Memory that it takes.");
  each([](const auto& table) { return table.bytes; });
}

bool any_redis(const std::vector<TokenSight>& sights) {
  for (const auto& sight : sights) {
    if (sight.redis) return true;
  }
  return false;
}

std::string count(const TokenSight& at, Outcome outcome) {
  return std::to_string(at.outcomes[static_cast<std::size_t>(outcome)]);
}

std::string count(const TokenSight& at, Verdict verdict) {
  return std::to_string(at.claims[static_cast<std::size_t>(verdict)]);
}

}  // namespace

void write_token_sights(Exposition& out, const std::vector<TokenSight>& sights) {
  if (sights.empty()) return;
  out.gauge("ticket_tokens_taken", "1 while tokens can be redeemed through this agent.");
  for (const auto& at : sights) out.add(at.trouble.empty() ? 1 : 0, {{"pool", at.pool}});
  out.counter("ticket_agent_tokens_total",
              "Tokens that HAProxy and /redeem asked about, by outcome.");
  for (const auto& at : sights) add_each<Outcome>(out, at.pool, "outcome", at.outcomes);
  out.counter("ticket_token_claims_total", "Claims that were decided here, by verdict.");
  for (const auto& at : sights) add_each<Verdict>(out, at.pool, "verdict", at.claims);
  write_tables(out, sights);
  if (any_redis(sights)) write_redis(out, sights);
}

void add_token_sights(StatusPage& page, const std::vector<TokenSight>& sights) {
  if (sights.empty()) return;
  page.heading("Tokens");
  std::vector<std::vector<std::string>> tokens{
      {"pool", "record", "passed", "replays", "not known", "claims: fresh", "replay", "unknown"}};
  std::vector<std::vector<std::string>> tables{{"pool", "epoch", "table", "full", "MiB"}};
  for (const auto& at : sights) {
    if (!at.trouble.empty()) page.alarm("tokens of " + at.pool + ": " + at.trouble);
    if (at.redis && !at.redis->trouble.empty()) {
      page.alarm("Redis at " + at.redis->address + ": " + at.redis->trouble);
    }
    const auto record = at.shared ? "Redis" + (at.redis ? " at " + at.redis->address : "")
                                  : std::string("this host's table");
    tokens.push_back({at.pool, at.offered ? record : "none", count(at, Outcome::ok),
                      count(at, Outcome::replay), count(at, Outcome::unknown),
                      count(at, Verdict::fresh), count(at, Verdict::replay),
                      count(at, Verdict::unknown)});
    for (const auto& table : at.tables) {
      tables.push_back({at.pool, std::to_string(table.epoch), table.state,
                        fmt::format("{:.0f} %", table.load / 0.67 * 100),
                        std::to_string(table.bytes >> 20)});
    }
  }
  page.table(tokens);
  if (tables.size() > 1) page.table(tables);
}

}  // namespace keyd
