#include "messages.hpp"

#include <nlohmann/json.hpp>

namespace keyd {

// A structure's writer and reader side by side; a missing or mistyped field
// throws, a field that nobody knows is passed over.
using Json = nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Address, host, port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MemberRule, member, fingerprint, subject, san)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FrontPool, name, members_ca, rules)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ClientPool, id, names, servers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AttestedSecret, name, sha256)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(IssuerSetup, pool, listen, certificate, key, attest, attest_ca,
                                   secrets, budget, budget_window, redis, redis_durable,
                                   ristretto_type)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Setup, listen, certificate, key, clients_ca, log_level, pools,
                                   metrics, log_format, clients, client_lifetime, issuers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Directory, pool, body, changes_at)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Issued, id, status, body, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MakeSentinel, pool, epoch, value, make, redeems_until, capacity,
                                   over)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Issue, id, pool, request, batch)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SentinelMade, pool, epoch, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RecordLost, pool, epoch, why)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MemberWrap, member, number, wrap)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Publish, pool, generation, bundle, wraps)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AddWrap, pool, generation, wrap)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Enrolled, id, status, member, generation, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SetUp, error, endpoints)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Enrol, id, pool, chain, sealing_key, time, signature, address)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Seen, pool, member, applied, address)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SeenList, members)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Ping, number)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Pong, number)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EpochReport, number, state, made, seals_from, seals_until,
                                   opens_until)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MemberReport, number, name, applied, last_seen, address)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AlarmReport, kind, text)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(IssuerReport, announced, issuing, redeeming, ended,
                                   issued_blind_rsa, issued_ristretto, records_lost)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PoolReport, name, generation, issued_at, not_after, epochs,
                                   enrolled, seen, current, oldest_applied, members, alarms, issuer)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Report, store_failures, clock_apart, pools)
void to_json(Json&, const Stop&) {}
void from_json(const Json&, Stop&) {}
void to_json(Json&, const ClockAccepted&) {}
void from_json(const Json&, ClockAccepted&) {}

namespace {

template <class Message>
constexpr const char* type_of = nullptr;
template <>
constexpr const char* type_of<Setup> = "setup";
template <>
constexpr const char* type_of<Publish> = "publish";
template <>
constexpr const char* type_of<AddWrap> = "wrap";
template <>
constexpr const char* type_of<Enrolled> = "enrolled";
template <>
constexpr const char* type_of<Stop> = "stop";
template <>
constexpr const char* type_of<ClockAccepted> = "clock accepted";
template <>
constexpr const char* type_of<Ping> = "ping";
template <>
constexpr const char* type_of<Report> = "report";
template <>
constexpr const char* type_of<SetUp> = "set up";
template <>
constexpr const char* type_of<Enrol> = "enrol";
template <>
constexpr const char* type_of<SeenList> = "seen";
template <>
constexpr const char* type_of<Pong> = "pong";

template <>
constexpr const char* type_of<Directory> = "directory";
template <>
constexpr const char* type_of<Issued> = "issued";
template <>
constexpr const char* type_of<MakeSentinel> = "make sentinel";
template <>
constexpr const char* type_of<Issue> = "issue";
template <>
constexpr const char* type_of<SentinelMade> = "sentinel made";
template <>
constexpr const char* type_of<RecordLost> = "record lost";

template <class Variant>
std::string write_any(const Variant& message) {
  return std::visit(
      [](const auto& alternative) {
        Json json = alternative;
        json["type"] = type_of<std::decay_t<decltype(alternative)>>;
        // What a peer wrote may not be UTF-8: it must not stop the keeper.
        return json.dump(-1, ' ', false, Json::error_handler_t::replace);
      },
      message);
}

template <class Variant, std::size_t I = 0>
Variant parse_as(const std::string& type, const Json& json) {
  if constexpr (I == std::variant_size_v<Variant>) {
    throw ChannelError("a message of the unknown type '" + type + "'");
  } else {
    using Message = std::variant_alternative_t<I, Variant>;
    if (type == type_of<Message>) return json.get<Message>();
    return parse_as<Variant, I + 1>(type, json);
  }
}

template <class Variant>
Variant parse_any(std::string_view text) {
  try {
    const auto json = Json::parse(text);
    return parse_as<Variant>(json.at("type").get<std::string>(), json);
  } catch (const Json::exception& problem) {
    throw ChannelError(std::string("a message that does not parse: ") + problem.what());
  }
}

}  // namespace

std::string write_message(const ToFront& message) { return write_any(message); }
std::string write_message(const ToKeeper& message) { return write_any(message); }

ToFront parse_to_front(std::string_view text) { return parse_any<ToFront>(text); }
ToKeeper parse_to_keeper(std::string_view text) { return parse_any<ToKeeper>(text); }

}  // namespace keyd
