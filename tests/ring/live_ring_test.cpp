#include "ring/live_ring.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <new>
#include <thread>

#include "support/rings.hpp"

namespace ticket::ring {

using namespace test;

namespace {

struct Host {
  TempFolder folder;
  TestClock clock;
  std::vector<std::string> said;
  std::filesystem::path path = folder / "web.ring";

  LiveRing open() {
    return LiveRing(
        {path, {}, &clock, [this](int, const std::string& text) { said.push_back(text); }});
  }
  void publish(const Ring& ring) {
    REQUIRE(RingWriter(path, ring.pool).publish(ring, clock.now()).has_value());
  }
};

// As the handshake path does first.
void tend_if_due(LiveRing& ring) {
  if (ring.due(ring.now())) ring.tend(ring.now());
}

std::uint32_t sealing(LiveRing& ring, int context) {
  tend_if_due(ring);
  const LiveRing::Pin pin(ring);
  const auto* keys = pin.keys(context);
  const auto* stek = keys != nullptr ? keys->sealing(ring.now()) : nullptr;
  return stek != nullptr ? stek->epoch->number : 0;
}

KeyName name_of(const Ring& ring, std::size_t epoch, std::string_view context) {
  ByteArray<80> stek;
  derive_stek(ring.secret(epoch), purpose::openssl, ring.pool, context, stek);
  return to_array(BytesView(stek).first<16>());
}

bool finds(LiveRing& ring, int context, const KeyName& name) {
  tend_if_due(ring);
  const LiveRing::Pin pin(ring);
  const auto* keys = pin.keys(context);
  return keys != nullptr && keys->find(raw(name)) != nullptr;
}

}  // namespace

TEST_SUITE("live ring") {
  TEST_CASE("a context's keys are found by name, another context's are not") {
    Host host;
    const auto ring = ring_of(hourly(1, 60));
    host.publish(ring);
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    const int b = live.context(purpose::openssl, "b");

    for (std::size_t i = 0; i < 60; ++i) {
      CAPTURE(i);
      CHECK(finds(live, a, name_of(ring, i, "a")));
      CHECK(finds(live, b, name_of(ring, i, "b")));
      CHECK_FALSE(finds(live, b, name_of(ring, i, "a")));
    }
    CHECK(live.context(purpose::openssl, "a") == a);
    CHECK(sealing(live, a) == 1);
  }

  TEST_CASE("a changed file is taken over at the next tend") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");

    REQUIRE(sealing(live, a) == 1);
    host.publish(ring_of(hourly(5, 6), 2));
    CHECK(sealing(live, a) == 1);
    live.tend(host.clock.now());
    CHECK(sealing(live, a) == 5);
  }

  TEST_CASE("promise 3: past opens_until a key is gone, though nobody writes any more") {
    Host host;
    const auto ring = ring_of(hourly(1, 2));
    host.publish(ring);
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    const auto name = name_of(ring, 0, "a");
    REQUIRE(finds(live, a, name));
    const auto next = live.tend(host.clock.now());
    CHECK(next <= host.clock.now().latest + 1s);

    host.clock.advance(13h - 1s);
    CHECK(live.due(host.clock.now()));
    live.tend(host.clock.now());
    CHECK(finds(live, a, name));
    host.clock.advance(1s);
    SUBCASE("with its file") {}
    SUBCASE("without its file") { std::filesystem::remove(host.path); }
    SUBCASE("with its file truncated") { std::ofstream(host.path) << ""; }
    live.tend(host.clock.now());
    CHECK_FALSE(finds(live, a, name));
    CHECK(finds(live, a, name_of(ring, 1, "a")));
  }

  TEST_CASE("promise 3: what has ended or is burned seals nothing, though nobody has tended") {
    Host host;
    auto ring = ring_of(hourly(1, 2));
    ring.policy.stretch = 48h;
    ring.epochs[1].burned = true;
    host.publish(ring);
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    live.tend(host.clock.now());
    const LiveRing::Pin pin(live);
    const auto* keys = pin.keys(a);
    REQUIRE(keys != nullptr);
    const auto ends = ring.epochs[0].opens_until;

    REQUIRE(keys->sealing(Moment(ends - 1s)) != nullptr);  // stretched, and not burned
    CHECK(keys->sealing(Moment(ends - 1s))->epoch->number == 1);
    CHECK(keys->sealing(Moment(ends)) == nullptr);
    CHECK(keys->sealing(Moment(ends - 1s, ends)) == nullptr);  // by either clock
  }

  TEST_CASE("a missing, unreadable or foreign file is said once, and taken up when it is good") {
    Host host;
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    CHECK(sealing(live, a) == 0);
    CHECK(live.status().file == RingFileState::missing);
    live.tend(host.clock.now());
    live.tend(host.clock.now());
    CHECK(host.said.size() == 1);

    std::ofstream(host.path) << std::string(100'000, 'x');
    live.tend(host.clock.now());
    CHECK(live.status().file == RingFileState::not_a_ring);
    std::filesystem::remove(host.path);
    host.publish(ring_of(hourly(1, 2)));
    live.tend(host.clock.now());
    CHECK(sealing(live, a) == 1);
    CHECK(live.status().file == RingFileState::ok);
    CHECK(host.said.size() == 3);
  }

  TEST_CASE("promise 10: once a clock that was ahead is right, the ring is looked at again") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    host.clock.set(Moment(noon, noon + 1h));
    auto live = host.open();
    REQUIRE_FALSE(live.due(host.clock.now()));

    host.clock.set(Moment(noon));
    CHECK(live.due(host.clock.now()));
    live.tend(host.clock.now());
    CHECK_FALSE(live.due(host.clock.now()));
    CHECK_FALSE(live.due(Moment(noon - 1s)));  // a thread that read the clock before
    CHECK_FALSE(live.due(Moment(noon + 1s)));
    CHECK(live.due(Moment(noon + 2s)));
  }

  TEST_CASE("a source that was not asked to look yet has nothing") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    FileSource source(host.path);
    CHECK(source.index() == 0);
    CHECK(source.heartbeat() == sys_seconds(0s));
    REQUIRE_FALSE(source.read().has_value());
    CHECK(source.read().error() == RingFileState::missing);
    source.follow(host.clock.now());
    CHECK(source.read().has_value());
  }

  TEST_CASE("a file that goes bad takes no living key away") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    REQUIRE(sealing(live, a) == 1);
    const auto whole = host.folder / "whole";
    std::filesystem::copy_file(host.path, whole);
    std::ofstream(host.path) << "short";

    live.tend(host.clock.now());
    CHECK(sealing(live, a) == 1);
    CHECK(live.status().file == RingFileState::truncated);
    host.clock.advance(1h);
    live.tend(host.clock.now());
    CHECK(sealing(live, a) == 2);

    // and is as it was before
    std::filesystem::copy_file(whole, host.path, std::filesystem::copy_options::overwrite_existing);
    live.tend(host.clock.now());
    CHECK(live.status().file == RingFileState::ok);
  }

  TEST_CASE("contexts are bounded, in number and in length") {
    Host host;
    auto live = host.open();
    for (std::size_t i = 0; i < LiveRing::max_contexts; ++i) {
      REQUIRE(live.context(purpose::openssl, std::to_string(i)) == static_cast<int>(i));
    }
    CHECK(live.context(purpose::openssl, "one more") == -1);
    CHECK(live.context(purpose::openssl, "0") == 0);
    CHECK(live.context(purpose::openssl, std::string(256, 'x')) == -1);
  }

  TEST_CASE("a thousand contexts are derived at once") {
    Host host;
    host.publish(ring_of(hourly(1, 3)));
    auto live = host.open();
    for (int i = 0; i < 1000; ++i) live.context(purpose::openssl, std::to_string(i));
    CHECK(sealing(live, 0) == 1);
    CHECK(sealing(live, 999) == 1);
  }

  TEST_CASE("threads look up while the ring changes under them") {
    Host host;
    host.publish(ring_of(hourly(1, 5)));
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    std::atomic<bool> stop = false;
    std::atomic<int> lost = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        while (!stop) {
          if (sealing(live, a) == 0) ++lost;
        }
      });
    }
    for (std::uint32_t generation = 2; generation < 60; ++generation) {
      host.publish(ring_of(hourly(generation, generation + 4), generation));
      live.tend(host.clock.now());
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK(lost == 0);
    CHECK(sealing(live, a) == 59);
  }

  TEST_CASE("a child has its keys anew, in memory that is locked, when it tends first") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    const auto keys = [&]() -> const void* {
      live.tend(host.clock.now());
      const LiveRing::Pin pin(live);
      return pin.keys(a);
    };
    const auto* before = keys();
    CHECK(keys() == before);

    const auto child = fork();
    if (child == 0) _exit(keys() != before ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }

  TEST_CASE("a ring that could not be made is forgotten: the process forks as before") {
    // a source without memory, in a place that is overwritten once it is gone
    struct Failing : FileSource {
      using FileSource::FileSource;
      void follow(Moment) override { throw std::bad_alloc(); }
      static void* operator new(std::size_t) { return place(); }
      static void operator delete(void* gone) { std::memset(gone, 0xee, sizeof(Failing)); }
      static void* place() {
        alignas(std::max_align_t) static std::array<std::byte, 512> bytes;
        return bytes.data();
      }
    };
    static_assert(sizeof(Failing) <= 512);
    alignas(LiveRing) static std::array<std::byte, sizeof(LiveRing)> place;
    Host host;
    LiveRing::Options options{host.path, {}, &host.clock, {}};
    options.source = std::make_unique<Failing>(host.path);
    CHECK_THROWS_AS(new (place.data()) LiveRing(std::move(options)), std::bad_alloc);

    const auto child = fork();
    if (child == 0) _exit(0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }

  TEST_CASE("a forked child tends on, though a thread of its parent was tending") {
    Host host;
    host.publish(ring_of(hourly(1, 2)));
    auto live = host.open();
    const int a = live.context(purpose::openssl, "a");
    std::atomic<bool> stop = false;
    std::thread tending([&] {
      while (!stop) live.tend(host.clock.now());
    });
    for (int i = 0; i < 20; ++i) {
      const auto child = fork();
      if (child == 0) {
        host.clock.advance(1h);
        live.tend(host.clock.now());
        _exit(sealing(live, a) == 2 ? 0 : 1);
      }
      int status = -1;
      waitpid(child, &status, 0);
      CHECK(status == 0);
    }
    stop = true;
    tending.join();
  }
}

}  // namespace ticket::ring
