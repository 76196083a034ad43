// Processes that claim the same locations at once, and processes that are killed.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "samples.hpp"
#include "support/process.hpp"

namespace ticket::replay {

namespace {

using samples::before;
using samples::epoch;
using samples::location;
using samples::me;
using samples::noon;

// Numbers that forked children and their parent share.
class Shared {
 public:
  explicit Shared(std::size_t count) : count_(count) {
    void* map = mmap(nullptr, count * sizeof(std::atomic<std::uint32_t>), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    numbers_ = static_cast<std::atomic<std::uint32_t>*>(map);
  }
  ~Shared() { munmap(numbers_, count_ * sizeof(std::atomic<std::uint32_t>)); }
  Shared(const Shared&) = delete;
  std::atomic<std::uint32_t>& operator[](std::size_t i) { return numbers_[i]; }

 private:
  std::size_t count_;
  std::atomic<std::uint32_t>* numbers_;
};

// Waits until `all` have come here.
void meet(std::atomic<std::uint32_t>& arrived, std::uint32_t all) {
  ++arrived;
  while (arrived < all) std::this_thread::yield();
}

template <class Work>
pid_t child(Work work) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    work();
    _exit(0);
  }
  return pid;
}

int ended(pid_t pid) {
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace

TEST_SUITE("replay races") {
  TEST_CASE("promise 13: 8 processes race for 10,000 tokens, each is accepted exactly once") {
    constexpr std::size_t tokens = 10'000, processes = 8, together = 200;
    const support::TempFolder folder;
    for (int round = 0; round < 2; ++round) {
      const auto path = folder / ("t" + std::to_string(round));
      Shared accepted(tokens), replays(1), arrived(tokens / together + 1);
      std::vector<pid_t> children;
      for (std::size_t p = 0; p < processes; ++p) {
        children.push_back(child([&] {
          // each opens, and so makes, the file itself
          auto table = Table::open(path, epoch, {tokens}, noon - seconds(2));
          usleep(1'100'000);  // it is told what time it is, but sees for itself how much is gone
          table.tend(noon);
          for (std::size_t i = 0; i < tokens; ++i) {
            // together again and again, or one would run ahead and win all
            if (i % together == 0) meet(arrived[i / together], processes);
            const auto verdict = table.claim(location(i), me);
            if (verdict == Verdict::fresh) ++accepted[i];
            if (verdict == Verdict::replay) ++replays[0];
          }
        }));
      }
      for (const auto pid : children) CHECK(ended(pid) == 0);

      std::size_t once = 0;
      for (std::size_t i = 0; i < tokens; ++i) once += accepted[i] == 1 ? 1 : 0;
      CHECK(once == tokens);
      CHECK(replays[0] == tokens * (processes - 1));
    }
  }

  TEST_CASE("promise 13: threads race for places in the same few lines") {
    // locations that all begin at one line, so that every claim is contended
    auto table = Table::make(epoch, {100}, before);
    std::vector<Location> crowded(60);
    for (std::size_t i = 0; i < crowded.size(); ++i) {
      crowded[i] = location(i);
      std::fill_n(crowded[i].begin(), 8, std::byte{0});
    }
    std::atomic<int> fresh{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < crowded.size(); ++i) {
          const auto& mine = crowded[(i * 7 + static_cast<std::size_t>(t)) % crowded.size()];
          fresh += table.claim(mine, me) == Verdict::fresh ? 1 : 0;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(fresh == 60);
  }

  TEST_CASE("promise 13: claimers killed at any moment never let a token pass twice") {
    constexpr std::size_t tokens = 200'000;
    const support::TempFolder folder;
    const auto path = folder / "t";
    Shared accepted(tokens), next(1);
    std::minstd_rand random(1);
    { const auto made = Table::open(path, epoch, {tokens}, before); }
    samples::age(path, seconds(60));
    for (int round = 0; round < 60; ++round) {
      std::vector<pid_t> children;
      for (int p = 0; p < 3; ++p) {
        children.push_back(child([&] {
          auto table = Table::open(path, epoch, {tokens}, noon);
          // all go over what others were killed at, and on
          for (auto i = next[0] > 2000 ? next[0] - 2000 : 0; i < tokens; ++i) {
            if (table.claim(location(i), me) == Verdict::fresh) ++accepted[i];
            if (next[0] < i) next[0] = static_cast<std::uint32_t>(i);
          }
        }));
      }
      usleep(static_cast<useconds_t>(random() % 4000));
      for (const auto pid : children) kill(pid, SIGKILL);
      for (const auto pid : children) ended(pid);
    }
    auto table = Table::open(path, epoch, {tokens}, noon);
    std::size_t passed = 0;
    for (std::size_t i = 0; i < next[0]; ++i) {
      // killed between recording and passing: recorded, and not let pass
      CHECK(accepted[i] <= 1);
      CHECK(table.holds(location(i)));
      passed += accepted[i];
    }
    CHECK(next[0] > 0);
    CHECK(passed + 60 * 3 >= next[0]);  // each kill costs at most one
  }

  TEST_CASE("who is killed while making the file leaves a whole one or none") {
    const support::TempFolder folder;
    std::minstd_rand random(1);
    for (int round = 0; round < 30; ++round) {
      std::vector<pid_t> children;
      for (int p = 0; p < 3; ++p) {
        children.push_back(child([&] { Table::open(folder / "t", epoch, {100'000}, before); }));
      }
      usleep(static_cast<useconds_t>(random() % 4000));
      for (const auto pid : children) kill(pid, SIGKILL);
      for (const auto pid : children) ended(pid);
      CHECK(Table::open(folder / "t", epoch, {100'000}, before).state() == TableState::early);
      CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
      std::filesystem::remove(folder / "t");
    }
  }

  TEST_CASE("a child goes on with its parent's table") {
    auto table = Table::make(epoch, {1000}, before);
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    CHECK(ended(child([&] {
            if (table.claim(location(1), me) != Verdict::replay) _exit(1);
            if (table.claim(location(2), me) != Verdict::fresh) _exit(2);
          })) == 0);
    CHECK(table.claim(location(2), me) == Verdict::replay);
  }

  TEST_CASE("a table shortened while it is in use ends nobody when it is sealed memory") {
    auto table = Table::make(epoch, {100'000}, before);
    CHECK(ended(child([&] {
            const auto path = "/proc/self/fd/" + std::to_string(table.file().get());
            if (truncate(path.c_str(), 0) == 0) _exit(1);
            for (std::uint64_t i = 0; i < 1000; ++i) {
              if (table.claim(location(i), me) != Verdict::fresh) _exit(2);
            }
          })) == 0);
  }
}

}  // namespace ticket::replay
