#include "certificate_look.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;

TEST_SUITE("certificate look") {
  TEST_CASE("promise 10: a look is due at first, after its time, and when the clock was set back") {
    const ticket::sys_seconds now{1'800'000'000s};
    keyd::CertificateLook look;
    CHECK(look.due(now, false));
    CHECK_FALSE(look.due(now, false));
    CHECK_FALSE(look.due(now + keyd::CertificateLook::lasts - 1s, false));
    CHECK(look.due(now + keyd::CertificateLook::lasts, false));
    CHECK_FALSE(look.due(now + keyd::CertificateLook::lasts, false));

    CHECK(look.due(now, false));  // ten minutes back
    CHECK_FALSE(look.due(now + 1s, false));
  }

  TEST_CASE("a look is due when the rules changed, and counts as one") {
    const ticket::sys_seconds now{1'800'000'000s};
    keyd::CertificateLook look;
    CHECK(look.due(now, true));
    CHECK(look.due(now + 599s, true));
    CHECK_FALSE(look.due(now + 600s, false));
  }
}
