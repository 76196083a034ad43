// The table of this host before the record of the pool: what the table holds is a replay,
// certainly and for free; else the pool's record decides, and the table keeps its answer.
#pragma once

#include "replay/table.hpp"

namespace ticket::replay {

// Over a table that must outlive it. Shared between threads, as the table is.
class Cascade {
 public:
  explicit Cascade(Table& table) : table_(&table) {}

  // Known here to be spent: the pool's record need not be asked.
  bool holds(const Location& location) const noexcept { return table_->holds(location); }

  // What comes of the verdict of the pool's record. `unknown` is kept nowhere. What this
  // host has let pass it lets not pass again, also when the pool's record says fresh: to
  // a retry of a request that was answered, or since it has lost something.
  Verdict settle(const Location& location, const ClaimId& claim_id, Verdict pool) noexcept;

  // All of it. `ask(location, claim_id, answer)` asks the pool's record and calls
  // answer(Verdict), at once or later, while this lives; `done` gets the verdict.
  template <class Ask, class Done>
  void claim(const Location& location, const ClaimId& claim_id, Ask&& ask, Done done) {
    if (holds(location)) return done(Verdict::replay);
    ask(location, claim_id, [this, location, claim_id, done = std::move(done)](Verdict pool) {
      done(settle(location, claim_id, pool));
    });
  }

 private:
  Table* table_;
};

}  // namespace ticket::replay
