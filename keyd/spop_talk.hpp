// HAProxy's questions about tokens over SPOP (spop.hpp): a message `ticket-token` with the
// arguments `header` (the request's Authorization) and `origin`, answered with variables
// of the transaction:
//
//   ticket.status     "ok", "replay", "unknown", ... (redeem/outcome.hpp)
//   ticket.challenge  the value of WWW-Authenticate, where a client is to be asked for one
#pragma once

#include "spop.hpp"
#include "talk.hpp"
#include "token_desk.hpp"

namespace keyd {

class SpopTalk : public Talk {
 public:
  // Of a frame, in both directions; HAProxy may want less.
  static constexpr std::uint32_t most_frame_size = 16 << 10;
  static constexpr std::size_t most_questions = 1024;

  // `desk` must outlive it.
  explicit SpopTalk(TokenDesk& desk)
      : Talk({.under_way = most_questions,
              .unsent = 256 << 10,
              .unread = 2 * (most_frame_size + 4)}),
        desk_(desk) {}

 private:
  struct Question {  // a NOTIFY frame
    std::uint64_t stream = 0, id = 0;
    std::string origin;
  };

  std::size_t handle(ticket::BytesView bytes) override;
  void frame(const spop::Frame& frame);
  void greet(const spop::Frame& hello);
  void notified(const spop::Frame& notify);
  void tell(const Question& question, ticket::redeem::Outcome outcome);
  void part(spop::Status status);

  TokenDesk& desk_;
  std::uint32_t frame_size_ = 0;  // 0 = no hello yet
};

}  // namespace keyd
