#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "feed/bundle.hpp"
#include "wire/json.hpp"
#include "wire/layout.hpp"

namespace ticket::feed {

namespace {

using nlohmann::json;
using wire::bytes;
using wire::field;
using wire::integer;
using wire::list;
using wire::string;
using wire::time;

std::int64_t number(sys_seconds time) { return time.time_since_epoch().count(); }

json to_json(const ring::Policy& policy) {
  return {{"rotate_every", policy.rotate_every.count()},
          {"lifetime", policy.lifetime.count()},
          {"publish_ahead", policy.publish_ahead.count()},
          {"stretch", policy.stretch.count()},
          {"lineage", policy.lineage.count()},
          {"unattributed", ring::to_text(policy.unattributed)}};
}

json to_json(const ring::Epoch& epoch) {
  return {{"number", epoch.number},
          {"id", hex(epoch.id)},
          {"made", number(epoch.made)},
          {"seals_from", number(epoch.seals_from)},
          {"seals_until", number(epoch.seals_until)},
          {"opens_until", number(epoch.opens_until)},
          {"burned", epoch.burned}};
}

Checked<ring::Policy> parse_policy(const json& object) {
  ring::Policy policy;
  const std::pair<const char*, seconds*> fields[] = {{"rotate_every", &policy.rotate_every},
                                                     {"lifetime", &policy.lifetime},
                                                     {"publish_ahead", &policy.publish_ahead},
                                                     {"stretch", &policy.stretch},
                                                     {"lineage", &policy.lineage}};
  for (const auto& [name, value] : fields) *value = seconds(TRY(integer(object, name, 0xffffffff)));
  const auto unattributed = ring::parse_unattributed(TRY(string(object, "unattributed", 16)));
  if (!unattributed || ring::problem(policy)) return reject(Rejection::malformed);
  policy.unattributed = *unattributed;
  return policy;
}

Checked<ring::Epoch> parse_epoch(const json& object) {
  ring::Epoch epoch;
  epoch.number = static_cast<std::uint32_t>(TRY(integer(object, "number", 0xffffffff)));
  epoch.id = TRY(bytes<16>(from_hex(TRY(string(object, "id", 32)))));
  epoch.made = TRY(time(object, "made"));
  epoch.seals_from = TRY(time(object, "seals_from"));
  epoch.seals_until = TRY(time(object, "seals_until"));
  epoch.opens_until = TRY(time(object, "opens_until"));
  const auto* burned = TRY(field(object, "burned"));
  if (!burned->is_boolean()) return reject(Rejection::malformed);
  epoch.burned = burned->get<bool>();
  if (epoch.number == 0 || epoch.seals_until < epoch.seals_from ||
      epoch.opens_until < epoch.seals_until) {
    return reject(Rejection::malformed);
  }
  return epoch;
}

Checked<MemberEntry> parse_member(const json& object) {
  MemberEntry member;
  member.number = static_cast<std::uint16_t>(TRY(integer(object, "number", 0xffff)));
  member.name = TRY(string(object, "name", wire::max_name_size));
  if (member.number == 0 || member.name.empty()) return reject(Rejection::malformed);
  return member;
}

Checked<ring::Revocation> parse_revocation(const json& object) {
  ring::Revocation revocation;
  revocation.minter = static_cast<std::uint16_t>(TRY(integer(object, "minter", 0xffff)));
  revocation.from = TRY(time(object, "from"));
  revocation.until = TRY(time(object, "until"));
  return revocation;
}

Checked<std::optional<crypto::SignerPublic>> parse_next_signer(const json& object) {
  const auto* value = TRY(field(object, "next_signer"));
  if (value->is_null()) return std::optional<crypto::SignerPublic>();
  if (!value->is_string()) return reject(Rejection::malformed);
  return std::optional(TRY(bytes<32>(from_base64url(value->get<std::string>()))));
}

json to_json(const TokenEpochNotice& epoch) {
  json keys = json::array();
  for (const auto& key : epoch.keys) keys.push_back({{"type", key.type}, {"id", hex(key.id)}});
  return {{"number", epoch.number},
          {"id", hex(epoch.id)},
          {"issues_from", number(epoch.issues_from)},
          {"issues_until", number(epoch.issues_until)},
          {"redeems_until", number(epoch.redeems_until)},
          {"keys", std::move(keys)}};
}

json to_json(const std::optional<TokenNotice>& tokens) {
  if (!tokens) return nullptr;
  json epochs = json::array();
  for (const auto& epoch : tokens->epochs) epochs.push_back(to_json(epoch));
  return {{"issuer", tokens->issuer}, {"origins", tokens->origins}, {"epochs", std::move(epochs)}};
}

Checked<TokenEpochNotice::Key> parse_token_key(const json& object) {
  TokenEpochNotice::Key key;
  key.type = static_cast<std::uint16_t>(TRY(integer(object, "type", 0xffff)));
  key.id = TRY(bytes<32>(from_hex(TRY(string(object, "id", 64)))));
  return key;
}

Checked<TokenEpochNotice> parse_token_epoch(const json& object) {
  TokenEpochNotice epoch;
  epoch.number = static_cast<std::uint32_t>(TRY(integer(object, "number", 0xffffffff)));
  epoch.id = TRY(bytes<16>(from_hex(TRY(string(object, "id", 32)))));
  epoch.issues_from = TRY(time(object, "issues_from"));
  epoch.issues_until = TRY(time(object, "issues_until"));
  epoch.redeems_until = TRY(time(object, "redeems_until"));
  epoch.keys = TRY(list(object, "keys", 2, parse_token_key));
  return epoch;
}

Checked<std::optional<TokenNotice>> parse_tokens(const json& object) {
  const auto* value = TRY(field(object, "tokens"));
  if (value->is_null()) return std::optional<TokenNotice>();
  TokenNotice tokens;
  tokens.issuer = TRY(string(*value, "issuer", wire::max_name_size));
  tokens.origins = TRY(string(*value, "origins", wire::max_origin_info));
  tokens.epochs = TRY(list(*value, "epochs", wire::max_token_epochs, parse_token_epoch));
  return std::optional(std::move(tokens));
}

// What must hold between the fields.
bool consistent(const Manifest& manifest) {
  sys_seconds last{};
  std::uint32_t number = 0;
  std::set<ring::EpochId> ids;
  for (const auto& epoch : manifest.epochs) {
    if (epoch.number <= number || !ids.insert(epoch.id).second) return false;
    number = epoch.number;
    last = std::max(last, epoch.opens_until);
  }
  std::set<std::uint16_t> members;
  for (const auto& member : manifest.members) {
    if (!members.insert(member.number).second) return false;
  }
  return manifest.generation != 0 && !manifest.pool.empty() && manifest.not_after == last;
}

}  // namespace

std::string write_manifest(const Manifest& manifest) {
  json epochs = json::array(), members = json::array(), revocations = json::array();
  for (const auto& epoch : manifest.epochs) epochs.push_back(to_json(epoch));
  for (const auto& m : manifest.members)
    members.push_back({{"number", m.number}, {"name", m.name}});
  for (const auto& r : manifest.revocations) {
    revocations.push_back(
        {{"minter", r.minter}, {"from", number(r.from)}, {"until", number(r.until)}});
  }
  json object = {{"version", 1},
                 {"pool", manifest.pool},
                 {"generation", manifest.generation},
                 {"issued_at", number(manifest.issued_at)},
                 {"not_after", number(manifest.not_after)},
                 {"policy", to_json(manifest.policy)},
                 {"epochs", std::move(epochs)},
                 {"members", std::move(members)},
                 {"revocations", std::move(revocations)},
                 {"next_signer", nullptr},
                 {"tokens", to_json(manifest.tokens)}};
  if (manifest.next_signer) object["next_signer"] = base64url(*manifest.next_signer);
  return object.dump();
}

Checked<Manifest> parse_manifest(std::string_view text) {
  const auto object = json::parse(text, nullptr, false);
  if (TRY(integer(object, "version", 1)) != 1) return reject(Rejection::malformed);
  Manifest manifest;
  manifest.pool = TRY(string(object, "pool", wire::max_name_size));
  manifest.generation = TRY(integer(object, "generation", ~std::uint64_t{0}));
  manifest.issued_at = TRY(time(object, "issued_at"));
  manifest.not_after = TRY(time(object, "not_after"));
  manifest.policy = TRY(parse_policy(*TRY(field(object, "policy"))));
  manifest.epochs = TRY(list(object, "epochs", wire::max_epochs, parse_epoch));
  manifest.members = TRY(list(object, "members", 0xffff, parse_member));
  manifest.revocations = TRY(list(object, "revocations", wire::max_revocations, parse_revocation));
  manifest.next_signer = TRY(parse_next_signer(object));
  manifest.tokens = TRY(parse_tokens(object));
  if (!consistent(manifest)) return reject(Rejection::malformed);
  return manifest;
}

std::string write_bundle(const Bundle& bundle) {
  return json{{"manifest", base64url(as_bytes(bundle.manifest))},
              {"signature", base64url(bundle.signature)},
              {"secrets", base64url(bundle.secrets)}}
      .dump();
}

Checked<Bundle> parse_bundle(std::string_view text) {
  constexpr std::size_t most = 16 << 20;
  const auto object = json::parse(text, nullptr, false);
  Bundle bundle;
  const auto manifest = from_base64url(TRY(string(object, "manifest", most)));
  const auto secrets = from_base64url(TRY(string(object, "secrets", most)));
  if (!manifest || !secrets) return reject(Rejection::malformed);
  bundle.manifest = as_text(*manifest);
  bundle.secrets = *secrets;
  bundle.signature = TRY(bytes<64>(from_base64url(TRY(string(object, "signature", most)))));
  return bundle;
}

}  // namespace ticket::feed
