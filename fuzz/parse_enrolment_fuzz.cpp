// Whatever a front says that a member sent: no enrolment passes that nobody signed.
#include "api.hpp"
#include "base/bytes.hpp"
#include "enrolment.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  const auto body = keyd::api::parse_enrolment(text_of(data, size));
  if (!body) return 0;
  static const std::vector<keyd::PoolRules> no_rules{{"web", {}}};
  // A CA whose key nobody has kept.
  static const keyd::EnrolmentRules rules{"", &no_rules, {}};
  const keyd::Enrol request{1,          "web",           body->chain,       body->sealing_key,
                            body->time, body->signature, "192.0.2.1 port 1"};
  const auto checked =
      keyd::check_enrolment(request, rules, ticket::sys_seconds(ticket::seconds(1'790'000'000)));
  holds(!checked.has_value() && !checked.error().empty());
  return 0;
}
