// A bounded number of connections: for one more, the oldest is closed.
#pragma once

#include <functional>
#include <list>

namespace keyd {

class Crowd {
 public:
  struct Guest {
    std::function<void()> close;
    bool closed = false;  // told to go, but its coroutine has not ended yet
  };
  using Place = std::list<Guest>::iterator;

  explicit Crowd(std::size_t most) : most_(most) {}

  // `close` must not end in leave() before it returns.
  Place admit(std::function<void()> close) {
    if (guests_.size() - closed_ >= most_) {
      auto oldest = guests_.begin();
      while (oldest->closed) ++oldest;
      oldest->closed = true;
      ++closed_;
      oldest->close();
    }
    return guests_.insert(guests_.end(), {std::move(close)});
  }
  void leave(Place place) {
    if (place->closed) --closed_;
    guests_.erase(place);
  }

  // Those told to go included.
  std::size_t size() const { return guests_.size(); }
  bool full() const { return guests_.size() - closed_ >= most_; }

 private:
  std::size_t most_;
  std::size_t closed_ = 0;
  std::list<Guest> guests_;
};

}  // namespace keyd
