#include "talk.hpp"

namespace keyd {

void Talk::take(ticket::BytesView bytes) {
  if (over_) return;
  in_.insert(in_.end(), bytes.begin(), bytes.end());
  pump();
}

ticket::Bytes Talk::take_output() {
  auto out = std::exchange(out_, {});
  if (!out.empty()) pump();
  return out;
}

void Talk::hang_up() {
  end();
  in_.clear();
  out_.clear();
}

void Talk::answered() {
  --under_way_;
  if (pumping_) return;  // it was answered at once
  pump();
  if (wake_) wake_();
}

void Talk::pump() {
  pumping_ = true;
  std::size_t done = 0;
  while (hungry() && done < in_.size()) {
    const auto size = handle(ticket::BytesView(in_).subspan(done));
    if (size == 0) break;
    done += size;
    ++handled_;
  }
  if (over_) done = in_.size();
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(done));
  pumping_ = false;
}

}  // namespace keyd
