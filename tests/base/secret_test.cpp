#include "base/secret.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

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

  TEST_CASE("clocks that were anchored within one second agree on it") {
    std::vector<std::unique_ptr<SystemClock>> clocks;
    for (int i = 0; i < 10; ++i) {
      clocks.push_back(std::make_unique<SystemClock>());
      std::this_thread::sleep_for(std::chrono::milliseconds(97));
    }
    for (int round = 0; round < 100; ++round) {
      const auto before = clocks.front()->now().steady;
      std::vector<sys_seconds> told;
      for (const auto& clock : clocks) told.push_back(clock->now().steady);
      if (clocks.front()->now().steady != before) continue;  // the second changed meanwhile
      CHECK(std::ranges::count(told, before) == 10);
      std::this_thread::sleep_for(std::chrono::milliseconds(11));
    }
  }

  TEST_CASE("the machine's clocks agree when just anchored") {
    const SystemClock clock;
    CHECK(clock.now().apart <= 1s);
    CHECK(clock.now().latest - clock.now().steady <= 1s);
  }
}

}  // namespace ticket
