// What an operator may order over the admin socket, read from its JSON
// (docs/formats.md).
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <tl/expected.hpp>

#include "base/clock.hpp"

namespace keyd {

struct Order {
  enum class Kind { rotate, expel, readmit, revoke, accept_clock, rotate_issuer };
  Kind kind = Kind::rotate;
  std::string pool;
  std::string member;               // of expel, readmit and revoke
  bool burn = true;                 // of expel
  bool burn_tokens = false;         // of rotate_issuer: no token of before is good any more
  ticket::sys_seconds from, until;  // of revoke: tickets sealed then, both included
  ticket::seconds shift{0};         // of accept_clock: how far our time moves
  uid_t by = 0;                     // who ordered it, for the audit log
};

// Why it is none of the orders, in words for who sent it.
tl::expected<Order, std::string> parse_order(const nlohmann::json& request);

}  // namespace keyd
