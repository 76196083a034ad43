// The claims of nginx's workers and of servers that embed libticket, over the agent's
// Unix socket (wire/claim.hpp): many at once, answered in any order.
#pragma once

#include "talk.hpp"
#include "token_desk.hpp"

namespace keyd {

class ClaimTalk : public Talk {
 public:
  // Claims of one peer that may wait for their answers.
  static constexpr std::size_t most_claims = 1024;

  // `desk` must outlive it.
  explicit ClaimTalk(TokenDesk& desk)
      : Talk({.under_way = most_claims, .unsent = 64 << 10, .unread = 64 << 10}), desk_(desk) {}

 private:
  std::size_t handle(ticket::BytesView bytes) override;
  void tell(std::uint32_t number, ticket::replay::Verdict verdict);

  TokenDesk& desk_;
};

}  // namespace keyd
