// Lets a bounded number of things go on at once; the others wait in their order.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

namespace keyd {

// One thread. Whoever entered must leave() once.
class Turnstile {
 public:
  // Begins, or returns false when nobody wants it any more: then it has not entered.
  using Enter = std::function<bool()>;

  Turnstile(std::size_t most_inside, std::size_t most_waiting)
      : most_inside_(most_inside), most_waiting_(most_waiting) {}

  // At once when there is room, else later; false when too many wait already.
  bool come(Enter enter) {
    if (inside_ >= most_inside_ && waiting_.size() >= most_waiting_) return false;
    waiting_.push_back(std::move(enter));
    admit();
    return true;
  }
  void leave() {
    --inside_;
    admit();
  }

  std::size_t inside() const { return inside_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  void admit() {
    while (inside_ < most_inside_ && !waiting_.empty()) {
      const auto enter = std::move(waiting_.front());
      waiting_.pop_front();
      ++inside_;  // before: it may leave() right away
      if (!enter()) --inside_;
    }
  }

  std::size_t most_inside_, most_waiting_;
  std::size_t inside_ = 0;
  std::deque<Enter> waiting_;
};

}  // namespace keyd
