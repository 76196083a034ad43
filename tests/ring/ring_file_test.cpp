#include "ring/ring_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "support/rings.hpp"
#include "support/token_blocks.hpp"

namespace ticket::ring {

using namespace test;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool holds(const std::filesystem::path& path, BytesView secret) {
  return content(path).find(as_text(secret)) != std::string::npos;
}

}  // namespace

TEST_SUITE("ring file") {
  TEST_CASE("what was published is read") {
    const TempFolder folder;
    RingWriter writer(folder / "web.ring", "web");
    auto ring = ring_of(hourly(1, 3), 42, 7);
    ring.revocations = {{3, noon, noon + 1h}};
    ring.policy.lifetime = 11h;
    ring.policy.unattributed = Unattributed::refuse;
    REQUIRE(writer.publish(ring, noon).has_value());

    const RingReader reader(folder / "web.ring");
    const auto read = reader.read();
    REQUIRE(read.has_value());
    CHECK(read->pool == "web");
    CHECK(read->generation == 42);
    CHECK(read->member == 7);
    CHECK(read->policy == ring.policy);
    CHECK(read->epochs == ring.epochs);
    CHECK(read->revocations == ring.revocations);
    CHECK(std::ranges::equal(read->secrets.expose(), ring.secrets.expose()));
    CHECK(reader.index() % 2 == 1);
    CHECK(reader.heartbeat() == noon);
    CHECK(writer.current()->epochs == ring.epochs);
  }

  TEST_CASE("a file made anew has another index, so who followed the old one notices") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    std::uint64_t before = 0;
    {
      RingWriter writer(path, "web");
      REQUIRE(writer.publish(ring_of(hourly(1, 2)), noon).has_value());
      before = RingReader(path).index();
    }
    std::filesystem::remove(path);
    RingWriter writer(path, "web");
    CHECK(RingReader(path).index() == 0);
    REQUIRE(writer.publish(ring_of(hourly(3, 4)), noon).has_value());
    CHECK(RingReader(path).index() != before);
    CHECK(writer.current()->epochs.front().number == 3);
  }

  TEST_CASE("a ring changes when its clocks say so, also when the wall is ahead") {
    const auto ring = ring_of(hourly(1, 2));
    for (const auto ahead : {seconds(0), seconds(10min), seconds(2h)}) {
      CAPTURE(ahead.count());
      const Moment now(noon + 55min, noon + 55min + ahead);
      CHECK(ring.next_change(now) == now.latest + 5min);
    }
  }

  TEST_CASE("promise 7: a birth later than any clock may say is no way to a longer lineage") {
    const auto ring = ring_of(hourly(1, 1));
    wire::Attribution origin;
    origin.born = noon + ring.policy.publish_ahead;  // by a clock that is that much ahead
    CHECK_FALSE(ring.objection(origin, noon).has_value());
    origin.born += 1s;
    CHECK(ring.objection(origin, noon) == Rejection::lineage);
  }

  TEST_CASE("the file is 0640 and tells its pool to nobody else") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    { RingWriter writer(path, "web"); }
    struct stat status {};
    stat(path.c_str(), &status);

    CHECK((status.st_mode & 0777) == 0640);
    CHECK_THROWS_WITH(RingWriter(path, "other"),
                      doctest::Contains("belongs to pool web, not to other"));
  }

  TEST_CASE("promise 3: a publish leaves no byte of what is not in it") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    RingWriter writer(path, "web");
    const auto ring = ring_of(hourly(1, 2));
    REQUIRE(writer.publish(ring, noon).has_value());
    REQUIRE(holds(path, ring.secret(0)));

    REQUIRE(writer.publish(ring.without_expired(noon + 13h), noon + 13h).has_value());
    CHECK_FALSE(holds(path, ring.secret(0)));
    CHECK(holds(path, ring.secret(1)));
  }

  TEST_CASE("promise 3: token epochs go with their time, from the file too") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    RingWriter writer(path, "web");
    auto ring = ring_of(hourly(1, 2));
    ring.tokens = token_block(0x51, 0x52);  // taken until two and three hours after noon
    const Bytes first(32, std::byte{0x51}), second(32, std::byte{0x52});
    REQUIRE(writer.publish(ring, noon).has_value());
    REQUIRE(holds(path, first));

    REQUIRE(writer.publish(writer.current()->without_expired(noon + 2h), noon + 2h).has_value());
    CHECK_FALSE(holds(path, first));
    CHECK(holds(path, second));

    auto alone = ring_of(hourly(1, 1));  // which itself changes 13 hours after noon
    alone.tokens = token_block(0x51, 0x52);
    CHECK(alone.next_change(noon + 61min) == noon + 2h);
  }

  TEST_CASE("promise 3: a writer that takes over wipes what a killed one left") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    const auto old = ring_of(hourly(1, 1));
    std::string torn;
    {
      RingWriter writer(path, "web");
      REQUIRE(writer.publish(old, noon).has_value());
      const auto before = content(path);
      REQUIRE(writer.publish(ring_of(hourly(2, 2)), noon).has_value());
      torn = content(path);
      const auto slot = (torn.size() - 4096) / 2;  // put the old slot back: flipped, not wiped
      torn.replace(4096 + slot, slot, before.substr(4096 + slot, slot));
    }
    std::ofstream(path, std::ios::binary) << torn;
    REQUIRE(holds(path, old.secret(0)));

    const RingWriter writer(path, "web");
    CHECK_FALSE(holds(path, old.secret(0)));
    CHECK(writer.current()->epochs.front().number == 2);
  }

  TEST_CASE("promise 11: all-zero, repeated and duplicate keys are refused") {
    const TempFolder folder;
    RingWriter writer(folder / "web.ring", "web");
    struct {
      const char* what;
      void (*spoil)(Ring&);
    } const cases[] = {
        {"an all-zero secret",
         [](Ring& r) { std::ranges::fill(r.secrets.fill().first(32), std::byte{0}); }},
        {"a repeated secret",
         [](Ring& r) { std::ranges::copy(r.secret(0), r.secrets.fill().subspan(32).begin()); }},
        {"a repeated id", [](Ring& r) { r.epochs[1].id = r.epochs[0].id; }},
        {"a repeated number", [](Ring& r) { r.epochs[1].number = r.epochs[0].number; }},
        {"an all-zero id", [](Ring& r) { r.epochs[0].id = {}; }},
        {"a missing secret", [](Ring& r) { r.secrets = SecretBytes(32); }},
    };
    for (const auto& test : cases) {
      CAPTURE(test.what);
      auto ring = ring_of(hourly(1, 2));
      test.spoil(ring);
      CHECK(writer.publish(ring, noon).error() == Rejection::bad_key);
    }
    CHECK(RingReader(folder / "web.ring").read().error() == RingFileState::empty);
  }

  TEST_CASE("a file that is no ring says why") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    const auto why = [&] { return RingReader(path).state(); };

    CHECK(why() == RingFileState::missing);
    std::ofstream(path) << "short";
    CHECK(why() == RingFileState::truncated);
    std::ofstream(path) << std::string(200'000, 'x');
    CHECK(why() == RingFileState::not_a_ring);
    CHECK_THROWS_WITH(RingWriter(path, "web"), doctest::Contains("remove it and start again"));
    std::filesystem::remove(path);
    RingWriter writer(path, "web");
    CHECK(why() == RingFileState::empty);
    auto bytes = content(path);
    bytes[8] = 99;
    std::ofstream(path, std::ios::binary) << bytes;
    CHECK(why() == RingFileState::other_version);
  }

  TEST_CASE("a file truncated at any page, or with any slot byte flipped, gives no ring") {
    const TempFolder folder;
    const auto path = folder / "web.ring", broken = folder / "broken.ring";
    RingWriter writer(path, "web");
    REQUIRE(writer.publish(ring_of(hourly(1, 1)), noon).has_value());
    const auto whole = content(path);

    for (std::size_t size = 0; size < whole.size(); size += 1024) {
      CAPTURE(size);
      std::ofstream(broken, std::ios::binary) << whole.substr(0, size);
      CHECK_FALSE(RingReader(broken).read().has_value());
    }
    const auto slot = 4096 + (whole.size() - 4096) / 2;  // index 1 names the second
    for (std::size_t at = 0; at < 44 + 47 + 2 + 85 + 2; ++at) {
      CAPTURE(at);
      auto altered = whole;
      altered[slot + at] ^= 1;
      std::ofstream(broken, std::ios::binary) << altered;
      CHECK_FALSE(RingReader(broken).read().has_value());
    }
  }

  TEST_CASE("there is one writer a file") {
    const TempFolder folder;
    const RingWriter writer(folder / "web.ring", "web");
    CHECK_THROWS_WITH(RingWriter(folder / "web.ring", "web"),
                      doctest::Contains("has a writer already"));
  }

  TEST_CASE("a reader beside a busy writer always sees one whole ring") {
    const TempFolder folder;
    RingWriter writer(folder / "web.ring", "web");
    REQUIRE(writer.publish(ring_of(hourly(1, 60), 1), noon).has_value());
    std::atomic<bool> stop = false;
    std::thread publishing([&] {
      for (std::uint32_t generation = 2; !stop; ++generation) {
        const auto first = generation % 1000 + 1;
        static_cast<void>(writer.publish(ring_of(hourly(first, first + 59), generation), noon));
      }
    });

    int whole = 0, torn = 0;
    const RingReader reader(folder / "web.ring");
    for (int i = 0; i < 300; ++i) {
      const auto ring = reader.read();
      if (!ring) {
        CHECK(ring.error() == RingFileState::torn);
        ++torn;
        continue;
      }
      ++whole;
      CHECK(ring->epochs.size() == 60);
      CHECK(std::to_integer<unsigned>(ring->secret(0)[0]) == (ring->epochs[0].number & 0xff));
    }
    stop = true;
    publishing.join();
    CHECK(whole > torn);
  }

  TEST_CASE("a writer killed at any instant leaves a whole ring") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    { CHECK(RingWriter(path, "web").publish(ring_of(hourly(1, 40), 1), noon).has_value()); }
    for (int round = 0; round < 20; ++round) {
      const auto child = fork();
      if (child == 0) {
        RingWriter writer(path, "web");
        for (std::uint64_t generation = 2;; ++generation) {
          static_cast<void>(writer.publish(ring_of(hourly(1, 40), generation), noon));
        }
      }
      usleep(static_cast<useconds_t>(2000 + 700 * round));
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
      const auto ring = RingReader(path).read();
      REQUIRE(ring.has_value());
      CHECK(ring->epochs.size() == 40);
    }
  }

  TEST_CASE("a file that was allocated and no more is a new one") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    { RingWriter writer(path, "web"); }
    const auto size = std::filesystem::file_size(path);
    std::filesystem::resize_file(path, 0);
    std::filesystem::resize_file(path, size);
    RingWriter writer(path, "web");
    REQUIRE(writer.publish(ring_of(hourly(1, 2)), noon).has_value());
    CHECK(RingReader(path).read().has_value());
  }

  TEST_CASE("a file that somebody removed or emptied is taken up again, with the same keys") {
    const TempFolder folder;
    const auto path = folder / "web.ring", lost = folder / "lost";
    RingWriter writer(path, "web");
    const auto ring = ring_of(hourly(1, 2), 7);
    REQUIRE(writer.publish(ring, noon).has_value());
    CHECK(writer.in_place());

    std::filesystem::rename(path, lost);
    CHECK_FALSE(writer.in_place());
    writer.reopen(noon);
    CHECK(writer.in_place());
    CHECK(RingReader(path).read()->generation == 7);
    CHECK_FALSE(holds(lost, ring.secret(0)));

    std::filesystem::resize_file(path, 0);
    CHECK_FALSE(writer.in_place());
    SUBCASE("emptied: the caller has what to write") {
      writer.reopen(noon);
      CHECK(writer.in_place());
      CHECK_FALSE(writer.current().has_value());
    }
    SUBCASE("emptied between two looks: a publish makes it whole") {}
    REQUIRE(writer.publish(ring_of(hourly(1, 2), 8), noon).has_value());
    CHECK(RingReader(path).read()->generation == 8);
  }

  TEST_CASE("a writer whose file became another pool's leaves that alone") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    RingWriter writer(path, "web");
    REQUIRE(writer.publish(ring_of(hourly(1, 2), 7), noon).has_value());
    std::filesystem::remove(path);
    { RingWriter other(path, "mail"); }
    CHECK_THROWS_WITH(writer.reopen(noon), doctest::Contains("belongs to pool mail, not to web"));
    CHECK_FALSE(writer.in_place());
    CHECK(writer.current()->generation == 7);
  }

  TEST_CASE("a file made anew is noticed") {
    const TempFolder folder;
    const auto path = folder / "web.ring";
    { RingWriter writer(path, "web"); }
    const RingReader reader(path);
    CHECK_FALSE(reader.replaced());
    std::filesystem::rename(path, folder / "old");
    CHECK_FALSE(reader.replaced());
    { RingWriter writer(path, "web"); }
    CHECK(reader.replaced());
  }
}

}  // namespace ticket::ring
