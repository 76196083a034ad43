// Whether an enrolment may stand: asked of the keeper, which trusts no front.
#pragma once

#include <tl/expected.hpp>

#include "base/clock.hpp"
#include "crypto/sealing.hpp"
#include "crypto/signature.hpp"
#include "messages.hpp"
#include "peer.hpp"

namespace keyd {

// How far the time in an enrolment may be from ours, either way.
constexpr ticket::seconds enrolment_window{600};

struct EnrolmentRules {
  std::string members_ca;                  // PEM of this pool's CA
  const std::vector<PoolRules>* rules;     // of all pools: no certificate has two roles
  ticket::crypto::SignerPublic authority;  // that the enrolment must be made for
};

struct Enrolment {
  std::string member;
  std::string fingerprint;
  ticket::crypto::BoxPublic sealing_key{};
  ticket::sys_seconds time;
  ticket::sys_seconds valid_from;  // its certificate
};

// Checks form, chain, role, signature and the time against ours, in this order;
// the error says who (as far as it is known) and why. Whether it is newer than
// the member's last is for the caller, who knows that one.
tl::expected<Enrolment, std::string> check_enrolment(const Enrol& request,
                                                     const EnrolmentRules& rules,
                                                     ticket::Moment now);

}  // namespace keyd
