#include "turnstile.hpp"

#include <doctest/doctest.h>

#include <string>

using keyd::Turnstile;

namespace {

struct Order {
  Turnstile::Enter enter(char who, bool wanted = true) {
    return [this, who, wanted] {
      if (wanted) began += who;
      return wanted;
    };
  }
  std::string began;
};

}  // namespace

TEST_SUITE("turnstile") {
  TEST_CASE("so many go on at once, the others in their order") {
    Turnstile door(2, 10);
    Order order;
    for (const char who : {'a', 'b', 'c', 'd'}) CHECK(door.come(order.enter(who)));
    CHECK(order.began == "ab");
    CHECK(door.waiting() == 2);

    door.leave();
    CHECK(order.began == "abc");
    door.leave();
    door.leave();
    CHECK(order.began == "abcd");
    CHECK(door.inside() == 1);
  }

  TEST_CASE("who came too late is told") {
    Turnstile door(1, 1);
    Order order;
    CHECK(door.come(order.enter('a')));
    CHECK(door.come(order.enter('b')));
    CHECK_FALSE(door.come(order.enter('c')));

    door.leave();
    CHECK(door.come(order.enter('d')));
    door.leave();
    CHECK(order.began == "abd");
  }

  TEST_CASE("who gave up takes no place") {
    Turnstile door(1, 10);
    Order order;
    CHECK(door.come(order.enter('a')));
    CHECK(door.come(order.enter('b', false)));
    CHECK(door.come(order.enter('c')));

    door.leave();
    CHECK(order.began == "ac");
    CHECK(door.inside() == 1);
  }

  TEST_CASE("who is done at once leaves from within") {
    Turnstile door(1, 0);
    int done = 0;
    for (int i = 0; i < 3; ++i) {
      CHECK(door.come([&] {
        ++done;
        door.leave();
        return true;
      }));
    }
    CHECK(done == 3);
    CHECK(door.inside() == 0);
  }
}
