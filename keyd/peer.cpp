#include "peer.hpp"

#include <algorithm>

namespace keyd {

using ticket::crypto::Role;
using ticket::crypto::RoleKind;

namespace {

struct Names {
  std::string fingerprint, subject;
  std::vector<std::string> alternatives;
};

tl::unexpected<std::string> refuse(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

bool matches(const MemberRule& rule, const Names& names) {
  if (!rule.fingerprint.empty()) return rule.fingerprint == names.fingerprint;
  if (!rule.subject.empty()) return rule.subject == names.subject;
  return !rule.san.empty() && std::ranges::count(names.alternatives, rule.san) > 0;
}

std::vector<Role> roles_by_rule(const Names& names, const std::vector<PoolRules>& pools) {
  std::vector<Role> roles;
  for (const auto& pool : pools) {
    for (const auto& rule : pool.rules) {
      if (!matches(rule, names)) continue;
      const auto same = [&](const Role& role) {
        return role.pool == pool.pool && role.name == rule.member;
      };
      if (std::ranges::none_of(roles, same)) {
        roles.push_back({RoleKind::member, pool.pool, rule.member});
      }
    }
  }
  return roles;
}

}  // namespace

tl::expected<Role, std::string> identify(X509* leaf, const std::vector<PoolRules>& pools) {
  auto by_san = ticket::crypto::role_of(leaf);
  if (!by_san) return refuse("two ticket: roles in its SANs, or one that does not parse");
  const Names names{ticket::crypto::fingerprint(leaf), ticket::crypto::subject(leaf),
                    ticket::crypto::alternative_names(leaf)};
  auto roles = roles_by_rule(names, pools);
  if (by_san->kind != RoleKind::none) {
    std::erase_if(roles, [&](const Role& role) {  // a rule may repeat what the SAN says
      return by_san->kind == RoleKind::member && role.pool == by_san->pool &&
             role.name == by_san->name;
    });
    roles.push_back(std::move(*by_san));
  }
  if (roles.empty()) return refuse("no ticket: role in its SANs, and no rule names it");
  if (roles.size() > 1) return refuse("two roles; a certificate has one");
  return std::move(roles[0]);
}

std::string describe(X509* leaf) {
  return ticket::crypto::subject(leaf) + ", " + ticket::crypto::fingerprint(leaf);
}

}  // namespace keyd
