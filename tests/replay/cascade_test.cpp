#include "replay/cascade.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "samples.hpp"

namespace ticket::replay {

namespace {

using samples::before;
using samples::epoch;
using samples::location;
using samples::me;

// A record of the pool that answers as it is told.
struct Pool {
  Verdict verdict = Verdict::fresh;
  int asked = 0;
  template <class Answer>
  void operator()(const Location&, const ClaimId&, Answer answer) {
    ++asked;
    answer(verdict);
  }
};

Verdict claim(Cascade& cascade, Pool& pool, std::uint64_t number) {
  auto verdict = Verdict::unknown;
  cascade.claim(location(number), me, pool, [&](Verdict v) { verdict = v; });
  return verdict;
}

}  // namespace

TEST_SUITE("cascade") {
  TEST_CASE("what this host knows to be spent is a replay, and the pool is not asked") {
    auto table = Table::make(epoch, {1000}, before);
    Cascade cascade(table);
    Pool pool;
    CHECK(claim(cascade, pool, 1) == Verdict::fresh);
    CHECK(claim(cascade, pool, 1) == Verdict::replay);
    CHECK(pool.asked == 1);
    // spent elsewhere: noted here
    pool.verdict = Verdict::replay;
    CHECK(claim(cascade, pool, 2) == Verdict::replay);
    CHECK(claim(cascade, pool, 2) == Verdict::replay);
    CHECK(pool.asked == 2);
  }

  TEST_CASE("promise 13: what the pool cannot tell is unknown, and noted nowhere") {
    auto table = Table::make(epoch, {1000}, before);
    Cascade cascade(table);
    Pool pool{Verdict::unknown};
    CHECK(claim(cascade, pool, 1) == Verdict::unknown);
    CHECK_FALSE(table.holds(location(1)));
    pool.verdict = Verdict::fresh;  // the same request comes again
    CHECK(claim(cascade, pool, 1) == Verdict::fresh);
  }

  TEST_CASE(
      "promise 13: what this host let pass it does not let pass again, whatever the pool says") {
    auto table = Table::make(epoch, {1000}, before);
    Cascade cascade(table);
    // two at once: both looked before either was settled
    CHECK(cascade.settle(location(1), me, Verdict::fresh) == Verdict::fresh);
    CHECK(cascade.settle(location(1), me, Verdict::fresh) == Verdict::replay);
  }

  TEST_CASE("a table that is of no help leaves it to the pool") {
    auto young = Table::make(epoch, {1000}, samples::noon);
    Cascade cascade(young);
    Pool pool;
    CHECK(claim(cascade, pool, 1) == Verdict::fresh);
    pool.verdict = Verdict::replay;
    CHECK(claim(cascade, pool, 1) == Verdict::replay);
    CHECK(pool.asked == 2);
  }
}

}  // namespace ticket::replay
