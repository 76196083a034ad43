// Who a certificate speaks for: one role, or none. Asked by the front for each
// connection, and by the keeper again for each enrolment.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config.hpp"
#include "crypto/certificate.hpp"

namespace keyd {

struct PoolRules {
  std::string pool;
  std::vector<MemberRule> rules;
};

// The role in the certificate's SANs, or the member that a rule makes it. An
// error in English when there is neither, or when there are two: a certificate
// has one role. It says nothing yet about who vouches for the certificate.
tl::expected<ticket::crypto::Role, std::string> identify(X509* leaf,
                                                         const std::vector<PoolRules>& pools);

// "CN=web1, sha256:...": for the log.
std::string describe(X509* leaf);

}  // namespace keyd
