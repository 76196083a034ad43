#include "ring/counters.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "support/rings.hpp"

namespace ticket::ring {

using test::TempFolder;

namespace {

std::uint64_t of(const Counts& counts, Counter counter) {
  return counts[static_cast<std::size_t>(counter)];
}

// Runs `work` in a forked process that ends by `_exit` or a signal.
template <class Work>
void in_child(Work work) {
  const auto child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

}  // namespace

TEST_SUITE("counters") {
  TEST_CASE("a process counts for itself without a file") {
    Counters counters("");
    counters.add(Counter::sealed);
    counters.flush();
    CHECK(of(counters.own(), Counter::sealed) == 1);
  }

  TEST_CASE("the file sums over processes, also killed ones, each count once") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    Counters::create(path);
    Counters mine(path);
    mine.add(Counter::sealed);
    mine.flush();
    for (int i = 0; i < 3; ++i) {
      in_child([&] {
        Counters counters(path);
        counters.add(Counter::forged);
        counters.flush();
        raise(SIGKILL);
      });
    }
    CHECK(of(Counters::sum(path), Counter::sealed) == 1);
    CHECK(of(Counters::sum(path), Counter::forged) == 3);
    in_child([&] { Counters counters(path); });
    CHECK(of(Counters::sum(path), Counter::forged) == 3);
  }

  TEST_CASE("slots of ended processes are used again") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    Counters::create(path);
    for (int i = 0; i < 50; ++i) {
      Counters counters(path);
      counters.add(Counter::name);
      counters.flush();
    }
    CHECK(of(Counters::sum(path), Counter::name) == 50);
    CHECK(std::filesystem::file_size(path) < 1024);
  }

  TEST_CASE("a forked child counts on its own") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    Counters::create(path);
    Counters counters(path);
    counters.add(Counter::sealed);
    counters.flush();
    in_child([&] {
      counters.add(Counter::expired);
      counters.flush();
      if (of(counters.own(), Counter::sealed) != 0) raise(SIGABRT);
      counters.flush();
    });
    counters.add(Counter::sealed);
    counters.flush();
    CHECK(of(Counters::sum(path), Counter::sealed) == 2);
    CHECK(of(Counters::sum(path), Counter::expired) == 1);
  }

  TEST_CASE("a file that is removed and made anew has all that the process counted") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    Counters::create(path);
    Counters counters(path);
    counters.add(Counter::sealed);
    counters.flush();
    std::filesystem::remove(path);
    counters.flush();  // nothing new, and nowhere to write
    Counters::create(path);
    counters.flush();
    CHECK(of(Counters::sum(path), Counter::sealed) == 1);

    counters.add(Counter::sealed);
    std::filesystem::rename(path, folder / "elsewhere");
    Counters::create(path);
    counters.flush();
    CHECK(of(Counters::sum(path), Counter::sealed) == 2);
    counters.flush();
    CHECK(of(Counters::sum(path), Counter::sealed) == 2);
  }

  TEST_CASE("a link is not followed to where it counts") {
    const TempFolder folder;
    Counters::create(folder / "theirs");
    std::filesystem::create_symlink(folder / "theirs", folder / "web.counters");
    Counters counters(folder / "web.counters");
    counters.add(Counter::sealed);
    counters.flush();
    CHECK(of(Counters::sum(folder / "theirs"), Counter::sealed) == 0);
  }

  TEST_CASE("somebody who keeps the file locked stops nobody") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    Counters::create(path);
    Counters before(path);
    before.add(Counter::sealed);
    before.flush();
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(flock(file, LOCK_EX) == 0);
    Counters::create(path);
    Counters during(path);
    during.add(Counter::sealed);
    during.flush();
    before.add(Counter::sealed);
    before.flush();  // it has its slot
    CHECK(Counters::sum(path)[static_cast<std::size_t>(Counter::sealed)] == 2);
    close(file);
    during.flush();
    CHECK(Counters::sum(path)[static_cast<std::size_t>(Counter::sealed)] == 3);
  }

  TEST_CASE("threads lose no count") {
    Counters counters("");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10'000; ++i) counters.add(Counter::sealed);
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(of(counters.own(), Counter::sealed) == 40'000);
  }

  TEST_CASE("a foreign or truncated file is refused by create and left alone by counting") {
    const TempFolder folder;
    const auto path = folder / "web.counters";
    std::ofstream(path) << "something else entirely";
    const auto mine = std::filesystem::perms::owner_read;
    std::filesystem::permissions(path, mine);
    CHECK_THROWS_WITH(Counters::create(path), doctest::Contains("remove it and start again"));
    CHECK(std::filesystem::status(path).permissions() == mine);
    const auto pipe = folder / "pipe";  // /dev/null, say
    REQUIRE(mkfifo(pipe.c_str(), 0400) == 0);
    CHECK_THROWS_WITH(Counters::create(pipe), doctest::Contains("not one of this version"));
    CHECK(std::filesystem::status(pipe).permissions() == mine);
    {
      Counters counters(path);
      counters.add(Counter::sealed);
      counters.flush();
    }
    CHECK(std::filesystem::file_size(path) == 23);
  }

  TEST_CASE("every counter has a name of its own") {
    for (std::size_t i = 0; i < counter_count; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        CHECK(std::string(to_text(Counter(i))) != to_text(Counter(j)));
      }
    }
  }
}

}  // namespace ticket::ring
