// Questions about tokens over HTTP/1.1, for nginx's auth_request and what is like it:
//
//   GET /redeem?origin=a.test          or the origin in X-Ticket-Origin
//   Authorization: PrivateToken token="..."
//
//   200  it passes, this once          each with X-Ticket-Token: ok, missing, replay, ...
//   401  it does not, with the challenge in WWW-Authenticate
//   503  cannot be told now
#pragma once

#include "talk.hpp"
#include "token_desk.hpp"

namespace keyd {

class RedeemTalk : public Talk {
 public:
  static constexpr std::size_t most_head = 16 << 10;  // a request line and fields
  // `desk` must outlive it.
  explicit RedeemTalk(TokenDesk& desk)
      : Talk({.under_way = 1, .unsent = 64 << 10, .unread = 2 * most_head}), desk_(desk) {}

 private:
  struct Turn {  // how the request that is answered came
    bool head_only = false, keep_alive = false;
  };

  std::size_t handle(ticket::BytesView bytes) override;
  void refuse(int status, std::string_view why);
  void tell(const Turn& turn, const std::string& origin, ticket::redeem::Outcome outcome);
  void respond(const Turn& turn, int status, const std::string& fields, std::string_view body);

  TokenDesk& desk_;
};

}  // namespace keyd
