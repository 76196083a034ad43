#include "base/secret.hpp"

#include <doctest/doctest.h>

#include <type_traits>

#include "base/clock.hpp"

namespace ticket {

using namespace std::chrono_literals;

TEST_SUITE("secret") {
  static_assert(!std::is_copy_constructible_v<Secret<32>>);
  static_assert(!std::is_copy_assignable_v<Secret<32>>);
  static_assert(!std::is_copy_constructible_v<SecretBytes>);

  TEST_CASE("two random secrets differ, a copy is equal") {
    const auto one = Secret<32>::random();
    const auto other = Secret<32>::random();

    CHECK_FALSE(one == other);
    CHECK(one == Secret<32>::copy_of(one.expose()));
  }

  TEST_CASE("a new secret is all zero until it is filled") {
    CHECK(all_zero(Secret<48>().expose()));
    CHECK(all_zero(SecretBytes(48).expose()));
  }

  TEST_CASE("a moved SecretBytes keeps its bytes and leaves none behind") {
    auto from = SecretBytes::copy_of(as_bytes("deep"));
    const auto to = std::move(from);

    CHECK(as_text(to.expose()) == "deep");
    CHECK(from.size() == 0);
  }
}

TEST_SUITE("clock") {
  TEST_CASE("a clock set back moves what seals only with boot time, and never revives") {
    const sys_seconds noon{100h};
    const Moment back(noon, noon - 9 * 24h);
    const Moment ahead(noon, noon + 9 * 24h);

    CHECK(back.steady == noon);
    CHECK(back.latest == noon);
    CHECK(ahead.steady == noon);
    CHECK(ahead.latest == noon + 9 * 24h);
  }

  TEST_CASE("the machine's clocks agree when just anchored") {
    const SystemClock clock;
    CHECK(clock.now().apart <= 1s);
    CHECK(clock.now().latest - clock.now().steady <= 1s);
  }
}

}  // namespace ticket
