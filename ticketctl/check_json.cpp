#include "check_json.hpp"

namespace ticketctl {

using nlohmann::ordered_json;

namespace {

ordered_json json_of(const CheckPlan& plan, const ServerSight& sight) {
  const auto& shake = sight.shake;
  ordered_json json{{"server", to_text(plan.servers[sight.server])},
                    {"name", sight.name},
                    {"tls", to_text(sight.version)},
                    {"ok", shake.ok()}};
  if (!shake.ok()) {
    json["why"] = to_text(verdict_of(shake.outcome));
    json["text"] = failure(sight);
    return json;
  }
  json["tickets"] = shake.tickets;
  json["key_name"] = shake.key_name;
  json["lifetime_hint"] = shake.lifetime_hint;
  json["certificate"] = shake.certificate;
  json["asks_certificate"] = shake.asks_certificate;
  return json;
}

ordered_json json_of(const CheckPlan& plan, const PairSight& pair) {
  ordered_json json{{"from", to_text(plan.servers[pair.from])},
                    {"to", to_text(plan.servers[pair.to])},
                    {"name", pair.name},
                    {"tls", to_text(pair.version)},
                    {"resumes", pair.verdict == Verdict::resumes}};
  if (pair.verdict == Verdict::resumes) {
    json["by_ticket"] = !pair.by_id;
    json["new_ticket"] = !pair.no_new_ticket;
  } else {
    json["why"] = to_text(pair.verdict);
    json["text"] = explain(pair.verdict, pair.version);
  }
  return json;
}

ordered_json json_of(const CheckPlan& plan, const NameSight& sight) {
  return {{"from", to_text(plan.servers[sight.from])},
          {"to", to_text(plan.servers[sight.to])},
          {"name", sight.name},
          {"under", sight.under},
          {"tls", to_text(sight.version)},
          {"result", to_text(sight.apart)},
          {"text", explain(sight.apart)}};
}

template <class Sight>
ordered_json list_of(const CheckPlan& plan, const std::vector<Sight>& sights) {
  auto list = ordered_json::array();
  for (const auto& sight : sights) list.push_back(json_of(plan, sight));
  return list;
}

}  // namespace

ordered_json check_json(const CheckPlan& plan, const CheckReport& report) {
  return {{"ok", report.all_resume() && report.names_apart()},
          {"all_resume", report.all_resume()},
          {"names_apart", report.names_apart()},
          {"verified", !plan.client.ca.empty()},
          {"servers", list_of(plan, report.servers)},
          {"pairs", list_of(plan, report.pairs)},
          {"names", list_of(plan, report.names)}};
}

}  // namespace ticketctl
