// How many tokens each client of an issuer may have in a window. A count is all that
// is kept, no token and no time of one.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <unordered_map>

#include "base/clock.hpp"

namespace keyd {

// A client's window begins with its first request and lasts `window`; then the next
// begins. So around its end a client may have two budgets in a short time. Goes by
// boot time (Moment::steady): setting a clock opens no window, nor does to accept it
// (move_time). One thread.
class Budget {
 public:
  // Clients whose windows have not ended. For one more there is no place: to forget
  // one would give it a new budget.
  static constexpr std::size_t most_clients = 65'536;

  struct Limits {
    std::uint64_t tokens = 0;
    ticket::seconds window{0};
  };

  // What was taken, to give it back.
  struct Taken {
    std::string client;
    std::uint64_t tokens = 0;
    ticket::sys_seconds since;  // of the window
  };
  enum class Why {
    spent,    // not so many are left in this window
    never,    // more than any window allows
    crowded,  // too many other clients
    count_
  };
  struct Over {
    Why why = Why::spent;
    ticket::seconds retry_after{0};  // at least 1 s
  };

  explicit Budget(Limits limits) : limits_(limits) {}

  // Counts at once, all or nothing.
  tl::expected<Taken, Over> take(const std::string& client, std::uint64_t tokens,
                                 ticket::sys_seconds now);
  // Into the window that it was taken from, if that is still the client's.
  void give_back(const Taken& taken);

  // The clock was set by that much, and accepted: windows last no longer and no shorter.
  void move_time(ticket::seconds shift);

  // Other limits from now on; what was taken stays taken.
  void limit(Limits limits) { limits_ = limits; }
  const Limits& limits() const { return limits_; }
  std::size_t clients() const { return by_client_.size(); }

 private:
  struct Window {
    std::string client;
    std::uint64_t tokens = 0;
    ticket::sys_seconds since;
  };
  using Windows = std::list<Window>;

  void forget_ended(ticket::sys_seconds now);
  ticket::seconds until_end(const Window& window, ticket::sys_seconds now) const;

  Limits limits_;
  Windows oldest_first_;
  std::unordered_map<std::string_view, Windows::iterator> by_client_;
};

}  // namespace keyd
