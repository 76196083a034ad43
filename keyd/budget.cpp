#include "budget.hpp"

#include <algorithm>

namespace keyd {

using ticket::seconds;
using ticket::sys_seconds;

tl::expected<Budget::Taken, Budget::Over> Budget::take(const std::string& client,
                                                       std::uint64_t tokens, sys_seconds now) {
  forget_ended(now);
  if (tokens > limits_.tokens) {
    return tl::unexpected(Over{Why::never, std::max(limits_.window, seconds(1))});
  }
  auto known = by_client_.find(client);
  if (known == by_client_.end()) {
    if (by_client_.size() >= most_clients) {
      return tl::unexpected(Over{Why::crowded, until_end(oldest_first_.front(), now)});
    }
    const auto window = oldest_first_.insert(oldest_first_.end(), {client, 0, now});
    known = by_client_.emplace(window->client, window).first;
  }
  auto& window = *known->second;
  // not tokens + window.tokens: the limits may have been lowered since
  if (window.tokens > limits_.tokens - tokens) {
    return tl::unexpected(Over{Why::spent, until_end(window, now)});
  }
  window.tokens += tokens;
  return Taken{client, tokens, window.since};
}

void Budget::give_back(const Taken& taken) {
  const auto known = by_client_.find(taken.client);
  if (known == by_client_.end() || known->second->since != taken.since) return;
  auto& window = *known->second;
  window.tokens -= std::min(window.tokens, taken.tokens);
}

// What was taken before goes back into no window: its time is the old one.
void Budget::move_time(seconds shift) {
  for (auto& window : oldest_first_) window.since += shift;
}

void Budget::forget_ended(sys_seconds now) {
  while (!oldest_first_.empty() && oldest_first_.front().since + limits_.window <= now) {
    by_client_.erase(oldest_first_.front().client);
    oldest_first_.pop_front();
  }
}

seconds Budget::until_end(const Window& window, sys_seconds now) const {
  return std::max(window.since + limits_.window - now, seconds(1));
}

}  // namespace keyd
