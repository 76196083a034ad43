#include "issuer_answer.hpp"

#include <algorithm>

#include "answer_fields.hpp"

namespace ticketctl {

using nlohmann::json;

namespace {

DrawnEpoch drawn_of(const json& object) {
  DrawnEpoch epoch{.number = static_cast<std::uint32_t>(number_of(object, "number")),
                   .made = time_of(object, "made"),
                   .seals_from = time_of(object, "issues_from"),
                   .seals_until = time_of(object, "issues_until"),
                   .opens_until = time_of(object, "redeems_until"),
                   .state = text_of(object, "state")};
  if (epoch.state == token_words.burned) {  // perhaps before it began
    epoch.seals_from = std::min(epoch.seals_from, epoch.opens_until);
    epoch.seals_until = std::clamp(epoch.seals_until, epoch.seals_from, epoch.opens_until);
  }
  if (epoch.seals_from < epoch.made || epoch.seals_until < epoch.seals_from ||
      epoch.opens_until < epoch.seals_until) {
    unlike_keyd("epochs", "with times in their order");
  }
  return epoch;
}

TokenEpochStatus epoch_of(const json& object) {
  TokenEpochStatus epoch{.drawn = drawn_of(object), .sentinel = flag_of(object, "sentinel")};
  for (const auto& key : array_of(object, "keys")) {
    epoch.keys.push_back({number_of(key, "type"), text_of(key, "id")});
  }
  return epoch;
}

IssuerStatus issuer_of(const json& object) {
  IssuerStatus issuer{.pool = text_of(object, "pool"),
                      .issuer = text_of(object, "issuer"),
                      .record = text_of(object, "record"),
                      .issued = number_of(object, "issued"),
                      .problem = text_of(object, "problem")};
  if (issuer.record == "table") issuer.redeemer = text_of(object, "redeemer");
  for (const auto& epoch : array_of(object, "epochs")) issuer.epochs.push_back(epoch_of(epoch));
  return issuer;
}

}  // namespace

Issuers read_issuers(const json& answer) {
  Issuers issuers{time_of(answer, "now"), {}};
  for (const auto& pool : array_of(answer, "pools")) issuers.pools.push_back(issuer_of(pool));
  return issuers;
}

}  // namespace ticketctl
