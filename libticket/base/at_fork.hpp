// fork() copies a mutex that another thread holds as one that is held for ever. So
// whoever forks takes all of ours first, and lets them go on both sides.
#pragma once

#include <functional>

namespace ticket {

// As long as it lives, `before` is called in the thread that forks, ahead of the fork, and
// `after` past it, in parent and child. Of several, `before` in the order in which they
// were made: locks that are taken inside another's belong to what was made later. Neither
// may throw, nor make or end one of these. The last member of what it serves, so that it
// sees no half of it.
class AtFork {
 public:
  using Before = std::function<void()>;
  using After = std::function<void(bool in_child)>;

  AtFork(Before before, After after);
  ~AtFork();  // not while a fork is under way
  AtFork(const AtFork&) = delete;
  AtFork& operator=(const AtFork&) = delete;

 private:
  friend struct Forking;
  Before before_;
  After after_;
};

}  // namespace ticket
