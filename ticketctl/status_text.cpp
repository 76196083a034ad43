#include "status_text.hpp"

#include "text.hpp"

namespace ticketctl {

using ticket::sys_seconds;
using namespace std::chrono_literals;

namespace {

std::string seen_text(const MemberStatus& member, sys_seconds now) {
  if (member.last_seen == sys_seconds{}) return "never";
  return rough(now - member.last_seen) + " ago";
}

std::string applied_text(const MemberStatus& member, const PoolStatus& pool, sys_seconds now) {
  if (member.applied == pool.generation) return "current";
  if (member.applied == 0) return "nothing yet";
  if (member.applied > pool.generation) return "ahead of keyd";  // whose state is an old backup
  return "behind, for " + rough(now - pool.issued_at);
}

std::vector<std::string> pool_members(const PoolStatus& pool, sys_seconds now,
                                      const Terminal& terminal) {
  if (pool.members.empty()) {
    return {"  no members yet: ticketctl member add NAME --pool " + pool.name + " --dir DIR"};
  }
  std::vector<std::vector<std::string>> rows = {{"", "member", "applied", "seen", "from"}};
  for (const auto& member : pool.members) {
    rows.push_back({std::to_string(member.number), member.name, applied_text(member, pool, now),
                    seen_text(member, now), member.address});
  }
  auto lines = table(rows);
  lines[0] = coloured(terminal, Colour::dim, lines[0]);
  for (std::size_t i = 0; i < pool.members.size(); ++i) {
    const auto& member = pool.members[i];
    const bool late = member.applied != pool.generation || now - member.last_seen > 60s;
    if (late) lines[i + 1] = coloured(terminal, Colour::yellow, lines[i + 1]);
  }
  return lines;
}

std::string heading(const PoolStatus& pool, sys_seconds now, const Terminal& terminal) {
  return coloured(terminal, Colour::bold, pool.name) + "  generation " +
         std::to_string(pool.generation) + ", issued " +
         short_time(pool.issued_at, now, Detail::seconds);
}

void append(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> status_lines(const Status& status, const Terminal& terminal) {
  std::vector<std::string> lines = {"keyd " + status.version + ", " +
                                    (status.pools.empty() ? "no pool" : "serving:")};
  for (const auto& pool : status.pools) {
    lines.push_back("");
    lines.push_back(heading(pool, status.now, terminal));
    for (const auto& alarm : pool.alarms) {
      lines.push_back(coloured(terminal, Colour::red, "  ALARM " + alarm));
    }
    lines.push_back("");
    append(lines, pool_members(pool, status.now, terminal));
    if (pool.epochs.empty()) continue;
    lines.push_back("");
    append(lines, draw_time_line(pool.epochs, status.now, terminal));
  }
  return lines;
}

std::vector<std::string> member_lines(const std::vector<PoolStatus>& pools, sys_seconds now) {
  std::vector<std::vector<std::string>> rows = {
      {"pool", "number", "member", "enrolled", "applied", "seen", "from"}};
  for (const auto& pool : pools) {
    for (const auto& member : pool.members) {
      rows.push_back({pool.name, std::to_string(member.number), member.name,
                      short_time(member.enrolled_at, now, Detail::minutes),
                      applied_text(member, pool, now), seen_text(member, now), member.address});
    }
  }
  if (rows.size() == 1) return {"no member has enrolled yet"};
  return table(rows);
}

}  // namespace ticketctl
