#include "answer.hpp"

#include "answer_fields.hpp"
#include "text.hpp"

namespace ticketctl {

using nlohmann::json;

namespace {

DrawnEpoch epoch_of(const json& object) {
  DrawnEpoch epoch{.number = static_cast<std::uint32_t>(number_of(object, "number")),
                   .made = time_of(object, "made"),
                   .seals_from = time_of(object, "seals_from"),
                   .seals_until = time_of(object, "seals_until"),
                   .opens_until = time_of(object, "opens_until"),
                   .state = text_of(object, "state")};
  if (epoch.seals_from < epoch.made || epoch.seals_until < epoch.seals_from ||
      epoch.opens_until < epoch.seals_until) {
    unlike_keyd("epochs", "with times in their order");
  }
  return epoch;
}

MemberStatus member_of(const json& object) {
  return {.number = static_cast<std::uint32_t>(number_of(object, "number")),
          .name = text_of(object, "name"),
          .enrolled_at = time_of(object, "enrolled_at"),
          .last_seen = time_of(object, "last_seen"),
          .applied = number_of(object, "applied"),
          .address = text_of(object, "address")};
}

PoolStatus pool_of(const json& object) {
  PoolStatus pool{.name = text_of(object, "name"),
                  .generation = number_of(object, "generation"),
                  .issued_at = time_of(object, "issued_at")};
  for (const auto& epoch : array_of(object, "epochs")) pool.epochs.push_back(epoch_of(epoch));
  for (const auto& member : array_of(object, "members")) pool.members.push_back(member_of(member));
  for (const auto& alarm : array_of(object, "alarms")) {
    if (!alarm.is_string()) unlike_keyd("alarms", "texts");
    pool.alarms.push_back(printable(alarm.get<std::string>()));
  }
  return pool;
}

}  // namespace

Status read_status(const json& answer) {
  Status status{.version = text_of(answer, "version"), .now = time_of(answer, "now")};
  for (const auto& pool : array_of(answer, "pools")) status.pools.push_back(pool_of(pool));
  return status;
}

std::vector<PoolLine> read_pools(const json& answer) {
  std::vector<PoolLine> lines;
  for (const auto& pool : array_of(answer, "pools")) {
    lines.push_back({text_of(pool, "name"), number_of(pool, "generation"),
                     number_of(pool, "members"), number_of(pool, "epochs"),
                     number_of(pool, "sealing")});
  }
  return lines;
}

ExpelledAnswer read_expelled(const json& answer) {
  return {number_of(answer, "generation"), number_of(answer, "number"),
          number_of(answer, "burned")};
}

Rotated read_rotated(const json& answer) {
  return {number_of(answer, "generation"), number_of(answer, "sealing")};
}

}  // namespace ticketctl
