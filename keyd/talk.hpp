// A conversation with one peer as bytes in and bytes out, without a socket: what a
// TalkListener carries, and what tests and fuzzers hold by hand.
//
//   take(bytes) ──► handle(a record) ──► a question that is under way ──► say(answer)
//
// It is bounded: while too much is under way or unsent no further record is handled, and
// then nothing more is wanted from the peer either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/bytes.hpp"

namespace keyd {

// Used by one thread. Answers may come after the peer is gone: hold a weak_ptr.
class Talk : public std::enable_shared_from_this<Talk> {
 public:
  virtual ~Talk() = default;

  // What the peer sent, in whatever pieces.
  void take(ticket::BytesView bytes);
  // What is to be sent to it; empty when there is nothing. What had no room before is
  // handled then.
  ticket::Bytes take_output();

  // More may be read from the peer.
  bool wants() const { return hungry() && in_.size() < most_unread(); }
  // A record has begun, and its end has not come.
  bool midway() const { return !in_.empty() && under_way_ == 0; }
  // A question is under way.
  bool busy() const { return under_way_ > 0; }
  // No question is under way and nothing half read.
  bool idle() const { return in_.empty() && under_way_ == 0; }
  // Close once the output is sent.
  bool over() const { return over_; }

  // Records handled so far.
  std::uint64_t handled() const { return handled_; }
  // The peer is gone: nothing of it is handled any more.
  void hang_up();

  // Called when an answer came later: there is output, or more is wanted.
  void on_answer(std::function<void()> wake) { wake_ = std::move(wake); }

 protected:
  struct Bounds {
    std::size_t under_way = 1;      // questions at once
    std::size_t unsent = 64 << 10;  // bytes
    std::size_t unread = 8 << 10;   // bytes: room for the largest record
  };
  explicit Talk(Bounds bounds) : bounds_(bounds) {}

  // Handles the record that `bytes` begins with, and gives its size; 0 = its end has not
  // come yet. `bytes` is not empty.
  virtual std::size_t handle(ticket::BytesView bytes) = 0;

  void say(ticket::BytesView bytes) {
    if (!over_) out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  // The peer broke the rules, or is done: nothing of it is handled any more, and nothing
  // more is said.
  void end() { over_ = true; }
  void begun() { ++under_way_; }
  // An answer came, and was said.
  void answered();

 private:
  bool hungry() const {
    return !over_ && under_way_ < bounds_.under_way && out_.size() < bounds_.unsent;
  }
  std::size_t most_unread() const { return bounds_.unread; }
  void pump();

  const Bounds bounds_;
  ticket::Bytes in_, out_;
  std::size_t under_way_ = 0;
  std::uint64_t handled_ = 0;
  bool over_ = false, pumping_ = false;
  std::function<void()> wake_;
};

}  // namespace keyd
