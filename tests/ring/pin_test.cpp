#include "ring/pin.hpp"

#include <doctest/doctest.h>

#include <new>
#include <thread>
#include <vector>

#ifndef TICKET_TSAN  // whose library has that operator new itself
namespace {
thread_local bool no_memory = false;
}

// Of a pin's record.
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return no_memory ? nullptr : ::operator new(size, alignment);
}
#endif

namespace ticket::ring {

namespace {

struct Value {
  explicit Value(std::uint64_t n) : one(n), two(~n) {}
  ~Value() { one = two = 0; }
  std::uint64_t one, two;
};

}  // namespace

TEST_SUITE("pin") {
  TEST_CASE("readers never see a value that its writer has freed") {
    std::atomic<const Value*> shared{new Value(0)};
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> reads = 0, bad = 0;
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back([&] {
        while (!stop) {
          const auto* value = pin(shared);
          if (value->one != ~value->two) ++bad;
          unpin();
          ++reads;
        }
      });
    }

    for (std::uint64_t n = 1; n < 3000; ++n) {
      const auto* old = shared.exchange(new Value(n));
      wait_until_unpinned(old);
      delete old;
    }
    while (reads < 1000) std::this_thread::yield();
    stop = true;
    for (auto& reader : readers) reader.join();

    CHECK(bad == 0);
    delete shared.load();
  }

#ifndef TICKET_TSAN
  TEST_CASE("a thread without memory for its pin sees nothing, and lives on") {
    const Value value(1);
    const std::atomic<const Value*> shared{&value};
    std::atomic<bool> stop = false;
    std::vector<std::thread> holders;  // of the records of threads that were
    bool nothing = false, then = false;
    while (!nothing && holders.size() < 100) {
      std::thread([&] {
        no_memory = true;
        nothing = pin(shared) == nullptr;
        unpin();
        no_memory = false;
        then = pin(shared) == &value;
        unpin();
      }).join();
      std::atomic<bool> holds = false;
      holders.emplace_back([&] {
        pin(shared);
        unpin();
        holds = true;
        while (!stop) std::this_thread::yield();
      });
      while (!holds) std::this_thread::yield();
    }
    stop = true;
    for (auto& holder : holders) holder.join();

    CHECK(nothing);
    CHECK(then);
  }
#endif

  TEST_CASE("a writer waits for a reader") {
    std::atomic<const Value*> shared{new Value(1)};
    std::atomic<bool> pinned = false, freed = false, seen_before_free = false;
    std::thread reader([&] {
      const auto* value = pin(shared);
      pinned = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      seen_before_free = !freed && value->one == 1;
      unpin();
    });
    while (!pinned) std::this_thread::yield();

    const auto* old = shared.exchange(nullptr);
    wait_until_unpinned(old);
    freed = true;
    delete old;
    reader.join();
    CHECK(seen_before_free);
  }

  TEST_CASE("pinning nothing is fine") {
    const std::atomic<const Value*> nothing{nullptr};
    CHECK(pin(nothing) == nullptr);
    unpin();
  }
}

}  // namespace ticket::ring
