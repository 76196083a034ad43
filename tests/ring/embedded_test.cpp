#include "ring/embedded.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>

#include "ring/generation.hpp"
#include "ring/live_ring.hpp"
#include "support/rings.hpp"

namespace ticket::ring {

using namespace test;

namespace {

Policy hourly_policy() {
  Policy policy;
  policy.publish_ahead = policy.rotate_every;
  return policy;
}

// A host whose processes are LiveRings here.
struct Host {
  TempFolder folder;
  TestClock clock;
  std::filesystem::path path = folder / "web.ring";
  std::vector<std::string> said;
  Policy policy = hourly_policy();

  std::unique_ptr<LiveRing> start() {
    const auto log = [this](int, const std::string& text) { said.push_back(text); };
    return std::make_unique<LiveRing>(LiveRing::Options{
        path, {}, &clock, log, std::make_unique<FilePool>(path, "web", policy, log)});
  }
  // Puts something else in the file's place; where the file is then.
  std::filesystem::path replace_file() const {
    auto away = folder / "away";
    std::filesystem::rename(path, away);
    std::ofstream(path) << "my diary";
    return away;
  }
  std::unique_ptr<LiveRing> start_in_memory() {
    return std::make_unique<LiveRing>(
        LiveRing::Options{"web", {}, &clock, {}, std::make_unique<MemoryPool>("web", policy)});
  }
};

// The key that seals in `ring` now; zero when none does.
KeyName sealing(LiveRing& ring) {
  const int context = ring.context(purpose::openssl, "www");
  ring.tend(ring.now());
  const LiveRing::Pin pin(ring);
  const auto* keys = pin.keys(context);
  const auto* stek = keys != nullptr ? keys->sealing(ring.now()) : nullptr;
  return stek != nullptr ? stek->name : KeyName{};
}

bool opens(LiveRing& ring, const KeyName& name) {
  const int context = ring.context(purpose::openssl, "www");
  ring.tend(ring.now());
  const LiveRing::Pin pin(ring);
  const auto* keys = pin.keys(context);
  return keys != nullptr && keys->find(raw(name)) != nullptr;
}

std::size_t living(LiveRing& ring) {
  ring.tend(ring.now());
  const LiveRing::Pin pin(ring);
  return pin ? pin->ring.epochs.size() : 0;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// No file of this process grows or is written while it lives; a full disk, as far
// as a writer can tell.
class NoWriting {
 public:
  NoWriting() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoWriting() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_SUITE("embedded pool") {
  TEST_CASE("keys are made, rotate, open to their end and are gone, in memory and in a file") {
    for (const bool in_memory : {true, false}) {
      CAPTURE(in_memory);
      Host host;
      const auto ring = in_memory ? host.start_in_memory() : host.start();
      const auto first = sealing(*ring);
      REQUIRE(first != KeyName{});

      host.clock.advance(1h - 1s);
      CHECK(sealing(*ring) == first);
      host.clock.advance(1s);
      const auto second = sealing(*ring);
      CHECK(second != first);
      CHECK(second != KeyName{});
      CHECK(opens(*ring, first));
      host.clock.advance(12h - 1s);
      CHECK(opens(*ring, first));
      host.clock.advance(1s);
      CHECK_FALSE(opens(*ring, first));
      for (int hour = 0; hour < 100; ++hour) {
        host.clock.advance(1h);
        CHECK(sealing(*ring) != KeyName{});
        CHECK(living(*ring) <= 15);
      }
    }
  }

  TEST_CASE("the next key is there before it seals, and none further ahead") {
    Host host;
    const auto writer = host.start(), reader = host.start();
    for (int hour = 0; hour < 20; ++hour) {
      // the reader looks first: what the writer makes in this second comes too late
      const auto known = RingReader(host.path).read();
      REQUIRE(known.has_value());
      host.clock.advance(1h);
      const auto key = sealing(*reader);
      CHECK(key == sealing(*writer));
      CHECK(known->epochs.back().seals_from <= host.clock.now().steady);
      CHECK(known->epochs.back().seals_until > host.clock.now().steady);
    }
  }

  TEST_CASE("promise 3: an ended key's secret is gone from the memory of the pool and its file") {
    Host host;
    const auto ring = host.start();
    MemoryPool memory("web", host.policy);
    memory.follow(host.clock.now());
    const auto in_memory = memory.read();
    const auto in_file = RingReader(host.path).read();
    REQUIRE(in_file.has_value());
    const auto secret = Bytes(in_file->secret(0).begin(), in_file->secret(0).end());
    REQUIRE(content(host.path).find(as_text(secret)) != std::string::npos);

    host.clock.advance(13h);  // idle until now
    ring->tend(host.clock.now());
    memory.follow(host.clock.now());

    CHECK(content(host.path).find(as_text(secret)) == std::string::npos);
    const auto left = memory.read();
    for (std::size_t i = 0; i < left->epochs.size(); ++i) {
      CHECK_FALSE(std::ranges::equal(left->secret(i), in_memory->secret(0)));
    }
  }

  TEST_CASE("the wall clock set ahead ends keys, and set back revives none") {
    Host host;
    const auto ring = host.start_in_memory();
    const auto first = sealing(*ring);
    host.clock.set(Moment(noon, noon + 9 * 24h));
    CHECK_FALSE(opens(*ring, first));
    host.clock.set(Moment(noon));
    CHECK_FALSE(opens(*ring, first));
  }

  TEST_CASE("promise 10: keys made under a clock that ran years ahead rotate once it is right") {
    Host host;
    host.clock.set(Moment(noon + 4 * 365 * 24h));
    const auto first = sealing(*host.start());
    host.clock.set(Moment(noon));
    const auto ring = host.start();
    CHECK(sealing(*ring) == first);
    for (int i = 0; i < 5; ++i) {
      host.clock.advance(30min);
      ring->tend(ring->now());
    }
    CHECK(sealing(*ring) != first);
    CHECK(sealing(*ring) != KeyName{});
    host.clock.advance(20h);
    ring->tend(ring->now());
    CHECK_FALSE(opens(*ring, first));
  }

  TEST_CASE("a restart goes on with the keys of the file") {
    Host host;
    auto ring = host.start();
    const auto first = sealing(*ring);
    const auto before = RingReader(host.path).read();
    ring.reset();
    host.clock.advance(30min);

    ring = host.start();

    CHECK(sealing(*ring) == first);
    CHECK(RingReader(host.path).read()->generation == before->generation);
    // away for longer than there were keys: new ones, with new numbers
    ring.reset();
    host.clock.advance(40h);
    ring = host.start();
    CHECK(sealing(*ring) != KeyName{});
    const auto after = RingReader(host.path).read();
    CHECK(after->epochs.front().number > before->epochs.back().number);
    CHECK(after->generation > before->generation);
  }

  TEST_CASE("one writes, the others follow, and one of them carries on when it has gone") {
    Host host;
    auto one = host.start();
    auto two = host.start(), three = host.start();
    const auto first = sealing(*one);
    CHECK(sealing(*two) == first);
    CHECK(sealing(*three) == first);
    const auto announced = RingReader(host.path).read();

    one.reset();
    host.clock.advance(1h);
    const auto second = sealing(*two);
    CHECK(sealing(*three) == second);
    CHECK(second != first);
    CHECK(opens(*two, first));
    // it sealed with what all had been told of
    const auto now = RingReader(host.path).read();
    const auto same = std::ranges::find(now->epochs, announced->epochs.back().id, &Epoch::id);
    REQUIRE(same != now->epochs.end());
    CHECK(same->seals_from <= host.clock.now().steady);
  }

  TEST_CASE("promise 2: without a file to write to there are no keys, and it says why") {
    Host host;
    host.path = host.folder / "later/web.ring";
    const auto ring = host.start();
    CHECK(sealing(*ring) == KeyName{});
    CHECK(ring->status().trouble == "ring file not written: No such file or directory");
    const auto lines = host.said.size();
    for (int i = 0; i < 10; ++i) ring->tend(host.clock.now());
    CHECK(host.said.size() == lines);  // said once

    std::filesystem::create_directory(host.path.parent_path());
    CHECK(sealing(*ring) != KeyName{});
    CHECK(ring->status().trouble.empty());
  }

  TEST_CASE("promise 2: a full disk makes no other keys: the last ones, then none") {
    Host host;
    const auto ring = host.start();
    const auto first = sealing(*ring);
    const auto known = RingReader(host.path).read();
    {
      const NoWriting full;
      host.clock.advance(1h);
      const auto second = sealing(*ring);  // made in time, before the disk was full
      CHECK(second != first);
      CHECK(second != KeyName{});
      CHECK(ring->status().trouble == "ring file not written: File too large");
      host.clock.advance(1h + 12h - 1s);
      CHECK(sealing(*ring) == second);  // stretched
      host.clock.advance(1s);
      CHECK(sealing(*ring) == KeyName{});
      const auto still = RingReader(host.path).read();
      CHECK(still->generation == known->generation);
    }
    CHECK(sealing(*ring) != KeyName{});
    CHECK(ring->status().trouble.empty());
  }

  TEST_CASE("a file that somebody removed is made again, with the same keys") {
    Host host;
    const auto ring = host.start(), other = host.start();
    const auto first = sealing(*ring);
    std::filesystem::remove(host.path);

    CHECK(sealing(*ring) == first);
    CHECK(std::filesystem::exists(host.path));
    CHECK(sealing(*other) == first);
  }

  TEST_CASE("whichever process sees first that it was removed") {
    Host host;
    const auto ring = host.start(), other = host.start(), third = host.start();
    const auto first = sealing(*ring);
    REQUIRE(sealing(*other) == first);
    REQUIRE(sealing(*third) == first);
    const auto generation = RingReader(host.path).read()->generation;
    std::filesystem::remove(host.path);

    CHECK(sealing(*other) == first);  // which makes the keys from now on
    CHECK(sealing(*ring) == first);
    CHECK(sealing(*third) == first);
    CHECK(RingReader(host.path).read()->generation == generation);
    host.clock.advance(1h);
    const auto second = sealing(*other);
    CHECK(second != first);
    CHECK(sealing(*ring) == second);
    CHECK(opens(*third, first));
  }

  TEST_CASE("keys of a removed file do not come back once another process has made others") {
    Host host;
    const auto ring = host.start();
    const auto first = sealing(*ring);
    std::filesystem::remove(host.path);
    auto other = host.start();
    const auto second = sealing(*other);
    REQUIRE(second != first);
    CHECK(sealing(*ring) == second);

    other.reset();
    std::filesystem::remove(host.path);
    const auto third = sealing(*ring);  // it makes the keys again, and makes new ones
    CHECK(third != KeyName{});
    CHECK(third != first);
    CHECK_FALSE(opens(*ring, first));
  }

  TEST_CASE("promise 3: a file that lost its name keeps no secret once its keys stand in another") {
    Host host;
    const auto ring = host.start();
    const auto first = sealing(*ring);
    const auto written = RingReader(host.path).read();
    const Bytes secret(written->secret(0).begin(), written->secret(0).end());
    const auto lost = host.folder / "lost";
    std::filesystem::rename(host.path, lost);
    REQUIRE(content(lost).find(as_text(secret)) != std::string::npos);

    CHECK(sealing(*ring) == first);
    CHECK(content(host.path).find(as_text(secret)) != std::string::npos);
    CHECK(content(lost).find(as_text(secret)) == std::string::npos);
  }

  TEST_CASE("promise 3: keys end, too, that wait for a file to go to") {
    Host host;
    FilePool pool(host.path, "web", host.policy, {});
    pool.follow(noon);
    const auto lost = host.replace_file();
    pool.follow(noon + 1s);
    const auto written = RingReader(lost).read();
    REQUIRE(written.has_value());
    const Bytes secret(written->secret(0).begin(), written->secret(0).end());
    pool.follow(noon + 2s);

    pool.follow(noon + 13h);
    CHECK(content(lost).find(as_text(secret)) == std::string::npos);
    std::filesystem::remove(host.path);
    pool.follow(noon + 13h + 1s);
    const auto anew = RingReader(host.path).read();
    REQUIRE(anew.has_value());
    CHECK(anew->generation > written->generation);
    for (std::size_t i = 0; i < anew->epochs.size(); ++i) {
      CHECK_FALSE(std::ranges::equal(anew->secret(i), secret));
    }
  }

  TEST_CASE("a file that was away for a while is taken up where it was left") {
    Host host;
    const auto ring = host.start();
    const auto first = sealing(*ring);
    const auto away = host.replace_file();
    CHECK(sealing(*ring) == first);
    const auto before = content(away);

    std::filesystem::rename(away, host.path);
    CHECK(sealing(*ring) == first);
    CHECK(content(host.path).substr(4096) == before.substr(4096));  // behind the header
    CHECK(ring->status().trouble.empty());
    host.clock.advance(1h);
    CHECK(sealing(*ring) != first);
    CHECK(sealing(*ring) == sealing(*host.start()));
  }

  TEST_CASE("so is one whose first keys have ended meanwhile") {
    Host host;
    const auto ring = host.start();
    const auto first = sealing(*ring);
    const auto away = host.replace_file();
    host.clock.advance(90min);
    const auto second = sealing(*ring);  // it was made ahead
    REQUIRE(second != KeyName{});
    host.clock.advance(12h);
    CHECK_FALSE(opens(*ring, first));

    std::filesystem::rename(away, host.path);
    CHECK(opens(*ring, second));
    CHECK(opens(*host.start(), second));
  }

  TEST_CASE("promise 10: keys for less than five minutes follow a clock that is put right") {
    Host host;
    host.policy.rotate_every = host.policy.publish_ahead = 30s;
    host.policy.lifetime = host.policy.stretch = 60s;
    host.clock.set(Moment(noon + 4min));
    const auto first = sealing(*host.start());
    host.clock.set(Moment(noon + 10s));
    const auto ring = host.start();
    CHECK(sealing(*ring) == first);
    host.clock.advance(30s);
    CHECK(sealing(*ring) != first);
    host.clock.advance(60s);
    CHECK_FALSE(opens(*ring, first));
  }

  TEST_CASE("another pool's file, and a file of another kind, are left alone") {
    Host host;
    { RingWriter(host.path, "other").publish(ring_of(hourly(1, 2), 1, 1, "other"), noon).value(); }
    const auto before = content(host.path);
    std::filesystem::permissions(host.path, std::filesystem::perms::owner_read);
    const auto ring = host.start();
    CHECK(sealing(*ring) == KeyName{});
    CHECK(ring->status().file == RingFileState::other_pool);
    CHECK(host.said.at(0).find("belongs to pool other, not to web") != std::string::npos);
    CHECK(content(host.path) == before);
    CHECK(std::filesystem::status(host.path).permissions() == std::filesystem::perms::owner_read);

    Host second;
    std::ofstream(second.path) << "my diary";
    std::filesystem::permissions(second.path, std::filesystem::perms::owner_read);
    const auto none = second.start();
    CHECK(sealing(*none) == KeyName{});
    CHECK(none->status().trouble == "ring file not usable: see the log");
    CHECK(content(second.path) == "my diary");
    CHECK(std::filesystem::status(second.path).permissions() == std::filesystem::perms::owner_read);

    Host third;  // /dev/null, say
    REQUIRE(mkfifo(third.path.c_str(), 0600) == 0);
    const auto nothing = third.start();
    CHECK(sealing(*nothing) == KeyName{});
    CHECK(third.said.at(0).find("not a regular file") != std::string::npos);
    CHECK(std::filesystem::status(third.path).permissions() ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  }

  TEST_CASE("a changed policy holds from the next start") {
    Host host;
    host.start();
    host.policy.lifetime = 2h;
    host.policy.lineage = 3h;
    const auto ring = host.start();
    const auto read = RingReader(host.path).read();
    CHECK(read->policy == host.policy);
  }

  TEST_CASE("promise 8: generations are Unix milliseconds, and grow when the clock does not") {
    const Moment now(sys_seconds(seconds(1'000)));
    CHECK(next_generation(0, now) == 1'000'000);
    CHECK(next_generation(999'999, now) == 1'000'000);
    CHECK(next_generation(1'000'000, now) == 1'000'001);
    CHECK(next_generation(2'000'000, now) == 2'000'001);
  }

  TEST_CASE("a forked child of a pool in memory makes no keys of its own") {
    Host host;
    const auto ring = host.start_in_memory();
    const auto first = sealing(*ring);
    const pid_t child = fork();
    if (child == 0) {
      bool well = sealing(*ring) == first;
      host.clock.advance(1h);
      const auto announced = sealing(*ring);  // known at the fork
      well = well && announced != KeyName{} && announced != first;
      host.clock.advance(12h);
      well = well && sealing(*ring) == announced && !opens(*ring, first);  // stretched; wiped
      host.clock.advance(1h);
      well = well && sealing(*ring) == KeyName{} &&
             ring->status().trouble.find("forked") != std::string::npos;
      _exit(well ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(ring->status().trouble.empty());
  }

  TEST_CASE("an idle forked child does not keep the lock of a writer that has gone") {
    Host host;
    auto writer = host.start();
    int up[2], down[2];
    REQUIRE(pipe(up) == 0);
    REQUIRE(pipe(down) == 0);
    char byte = 0;
    const pid_t child = fork();
    if (child == 0) {
      close(down[1]);
      const bool told = write(up[1], "x", 1) == 1;
      _exit(told && read(down[0], &byte, 1) == 0 ? 0 : 1);  // idle until we close our end
    }
    REQUIRE(read(up[0], &byte, 1) == 1);
    writer.reset();
    host.said.clear();
    const auto other = host.start();
    CHECK(std::ranges::any_of(host.said, [](const std::string& text) {
      return text.find("this process makes the keys now") != std::string::npos;
    }));
    close(down[1]);
    waitpid(child, nullptr, 0);
    for (const int end : {up[0], up[1], down[0]}) close(end);
  }
}

}  // namespace ticket::ring
