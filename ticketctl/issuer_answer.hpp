// keyd's answer to issuer-status, read into types.
#pragma once

#include <nlohmann/json.hpp>

#include "time_line.hpp"

namespace ticketctl {

// One public key of an epoch.
struct TokenKeyLine {
  std::uint64_t type = 0;  // code point
  std::string id;          // hex
};

struct TokenEpochStatus {
  DrawnEpoch drawn;
  bool sentinel = false;  // its mark stands in Redis, as it should
  std::vector<TokenKeyLine> keys;
};

struct IssuerStatus {
  std::string pool, issuer;  // the issuer as challenges name it
  std::string record;        // keyd's word: redis or table
  std::string redeemer;      // the member that redeems, where the record is its table
  std::uint64_t issued = 0;  // tokens, since keyd began
  std::string problem;       // why none can be had now; empty = they can
  std::vector<TokenEpochStatus> epochs;
};

struct Issuers {
  ticket::sys_seconds now;
  std::vector<IssuerStatus> pools;
};
// Throws CommandError (unreachable) naming the field that is missing or of another kind.
Issuers read_issuers(const nlohmann::json& answer);

}  // namespace ticketctl
