#include "crowd.hpp"

#include <doctest/doctest.h>

#include <vector>

TEST_SUITE("crowd") {
  TEST_CASE("for one more than there is room for, the oldest goes, once") {
    keyd::Crowd crowd(3);
    std::vector<int> closed;
    std::vector<keyd::Crowd::Place> places;
    for (int i = 0; i < 5; ++i) {
      places.push_back(crowd.admit([&closed, i] { closed.push_back(i); }));
    }
    CHECK(closed == std::vector<int>{0, 1});
    CHECK(crowd.size() == 5);  // two of them on their way out
    CHECK(crowd.full());

    crowd.leave(places[0]);
    crowd.leave(places[1]);
    CHECK(crowd.full());
    crowd.leave(places[3]);
    CHECK_FALSE(crowd.full());
    crowd.admit([] {});
    CHECK(closed == std::vector<int>{0, 1});
    crowd.admit([] {});
    CHECK(closed == std::vector<int>{0, 1, 2});
  }
}
