#include "enrolment.hpp"

#include "base/bytes.hpp"
#include "crypto/digest.hpp"
#include "wire/signed.hpp"

namespace keyd {

using namespace ticket;
using crypto::RoleKind;

namespace {

constexpr std::int64_t latest_time = std::int64_t{1} << 40;  // sums with it do not overflow

tl::unexpected<std::string> refuse(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

tl::expected<crypto::BoxPublic, std::string> sealing_key(const std::string& text) {
  const auto bytes = from_base64url(text);
  if (!bytes || bytes->size() != 32) return refuse("sealing_key is not 32 bytes of base64url");
  const auto key = to_array(BytesView(*bytes).first<32>());
  try {
    crypto::box_seal(key, {});
  } catch (const std::exception&) {
    return refuse("sealing_key is no key: whatever is sealed to it, anybody could open");
  }
  return key;
}

// The name that the certificate has in the pool.
tl::expected<std::string, std::string> member_name(X509* leaf, const std::string& pool,
                                                   const std::vector<PoolRules>& rules) {
  const auto role = identify(leaf, rules);
  if (!role) return refuse(role.error());
  if (role->kind != RoleKind::member) return refuse("its role is not that of a member");
  if (role->pool != pool) return refuse("it is a member of the pool " + role->pool);
  return role->name;
}

std::string distance(seconds apart) {
  return std::to_string(std::abs(apart.count())) + " s " +
         (apart.count() > 0 ? "ahead of" : "behind") + " ours";
}

}  // namespace

tl::expected<Enrolment, std::string> check_enrolment(const Enrol& request,
                                                     const EnrolmentRules& rules, Moment now) {
  if (request.time < 0 || request.time > latest_time) return refuse("time is no time");
  const auto key = sealing_key(request.sealing_key);
  if (!key) return refuse(key.error());
  const auto signature = from_base64url(request.signature);
  if (!signature) return refuse("signature is not base64url");
  const auto chain = crypto::parse_chain(request.chain);
  if (!chain) return refuse("chain is not 1 to 8 certificates in PEM");

  auto* const leaf = chain->front().get();
  const auto who = describe(leaf) + ": ";
  if (const auto problem = crypto::chain_problem(*chain, rules.members_ca, false, now.latest)) {
    return refuse(who + *problem);
  }
  const auto name = member_name(leaf, request.pool, *rules.rules);
  if (!name) return refuse(who + name.error());

  const sys_seconds time{seconds(request.time)};
  const auto message =
      wire::enrol_message(crypto::sha256(rules.authority), request.pool, *key, time);
  if (!crypto::verify_with(leaf, message, *signature)) {
    return refuse(who +
                  "the signature is not by this certificate's key, or was made for "
                  "another authority, pool, sealing key or time");
  }
  if (time > now.latest + enrolment_window || time < now.latest - enrolment_window) {
    return refuse(who + "its clock is " + distance(time - now.latest) + "; 600 s are allowed");
  }
  return Enrolment{*name, crypto::fingerprint(leaf), *key, time, crypto::begins(leaf)};
}

}  // namespace keyd
