// What those who take questions about tokens from the network ask: one pool's desk.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "redeem/outcome.hpp"
#include "replay/index.hpp"
#include "wire/claim.hpp"

namespace keyd {

// Used by one thread. An answer may come at once, within the call.
class TokenDesk {
 public:
  virtual ~TokenDesk() = default;

  // Redeems the token of an Authorization field's value; nullopt: there was none.
  // `origin` is the name that was asked.
  virtual void redeem(std::optional<std::string_view> authorization, std::string_view origin,
                      std::function<void(ticket::redeem::Outcome)> done) = 0;
  // The value of WWW-Authenticate with which a client is asked for a token; empty: none can
  // be had now.
  virtual std::string challenge(std::string_view origin) = 0;
  // Records what a process of this host has verified.
  virtual void claim(const ticket::wire::Claim& claim,
                     std::function<void(ticket::replay::Verdict)> done) = 0;
};

}  // namespace keyd
