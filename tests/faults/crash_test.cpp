// Promise 9: keyd killed at any instant, and its disk failing under it. A real
// agent watches all the while, and refuses what must not be.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "authority_folder.hpp"
#include "crypto/digest.hpp"

using faults::AuthorityFolder;
using faults::says;
using support::Process;
using namespace std::chrono_literals;

namespace {

// What no kill may undo: seen once, it stands.
class Ledger {
 public:
  // `state` is what the disk holds now.
  void look(const keyd::KeeperState& state) {
    CHECK(state.counter >= counter_);
    counter_ = state.counter;
    const auto& pool = *state.pool("web");
    CHECK(pool.generation >= generation_);
    if (pool.generation == generation_) CHECK(pool.manifest == manifest_);
    generation_ = pool.generation;
    manifest_ = pool.manifest;
    CHECK(pool.last_epoch >= last_epoch_);
    last_epoch_ = pool.last_epoch;
    for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
      const auto& epoch = pool.epochs[i];
      const auto secret = ticket::crypto::sha256(pool.secrets.expose().subspan(i * 32, 32));
      const auto [known, fresh] = epochs_.emplace(epoch.number, std::pair(epoch.id, secret));
      CHECK(known->second == std::pair(epoch.id, secret));
      CHECK(epoch.number <= pool.last_epoch);
    }
  }
  std::size_t epochs() const { return epochs_.size(); }
  std::uint64_t generation() const { return generation_; }

 private:
  std::uint64_t counter_ = 0, generation_ = 0;
  std::uint32_t last_epoch_ = 0;
  std::string manifest_;
  std::map<std::uint32_t, std::pair<ticket::ring::EpochId, ticket::crypto::Sha256>> epochs_;
};

// TICKET_KILLS: how often; a thousand takes some minutes.
int kills() {
  const char* wanted = std::getenv("TICKET_KILLS");
  return wanted == nullptr ? 60 : std::atoi(wanted);
}

// How long keyd takes, here and now, until it has stored its first state.
std::chrono::milliseconds time_to_store() {
  const AuthorityFolder folder;
  const auto begun = std::chrono::steady_clock::now();
  const auto keyd = folder.start();
  REQUIRE_MESSAGE(support::wait_until([&] { return bool(folder.state()); }, 30s), keyd.output());
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begun);
}

void verify_audit_log(const AuthorityFolder& folder) {
  const auto verified = folder.ticketctl({"audit", "verify"});
  CHECK_MESSAGE(verified.code == 0, verified.output);
}

// keyd with its keeper under strace, which does `what` to it, as -e inject has it.
// (-D: the keeper is our own child, and strace goes with it.)
Process under_strace(const AuthorityFolder& folder, const std::string& what) {
  std::vector<std::string> argv = {"strace",    "-D", "-qqq",          "-o",
                                   "/dev/null", "-e", "inject=" + what};
  const auto command = folder.command();
  argv.insert(argv.end(), command.begin(), command.end());
  return Process(argv);
}

}  // namespace

TEST_SUITE("crashes") {
  TEST_CASE("promise 9: killed at random points, keyd loses, repeats and takes back nothing") {
    const AuthorityFolder folder;
    const auto host = folder.add_member("web1");
    Process agent({(support::build_root() / "keyd/keyd").string(), "agent", "--config",
                   (host / "agent.toml").string()});
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    Ledger ledger;
    int lives = 0;
    const auto short_life = std::max<std::chrono::milliseconds>(2 * time_to_store(), 120ms);

    for (int i = 0; i < kills(); ++i) {
      auto keyd = folder.start();
      // most before or soon after it stores, some in the middle of its work
      const auto longest = i % 10 == 0 ? short_life + 2s : short_life;
      std::this_thread::sleep_for(std::chrono::milliseconds(
          std::uniform_int_distribution<std::int64_t>(0, longest.count())(random)));
      REQUIRE_MESSAGE(keyd.alive(), keyd.output());
      keyd.kill();
      const auto state = folder.state();
      if (!state) continue;
      ++lives;
      ledger.look(*state);
    }

    CHECK(lives > kills() / 2);
    auto keyd = folder.start();
    REQUIRE_MESSAGE(says(keyd, "ready: listening"), keyd.output());
    ledger.look(*folder.state());
    CHECK(ledger.epochs() > static_cast<std::size_t>(kills()) / 20);
    // the agent refuses older generations, and one with two manifests
    const auto newest = [&] {
      const auto generation = folder.state()->pool("web")->generation;
      return agent.output().find("generation " + std::to_string(generation)) != std::string::npos;
    };
    CHECK_MESSAGE(support::wait_until(newest, 20s), agent.output());
    // all of the lives may have been too short for it: then that was its first one
    CHECK_MESSAGE(says(agent, "applied"), agent.output());
    CHECK_MESSAGE(agent.output().find("refused a bundle") == std::string::npos, agent.output());
    verify_audit_log(folder);
  }

  TEST_CASE("promise 9: killed at each write, fsync and rename") {
    const AuthorityFolder folder;
    folder.replace_in_config("# seccomp = \"kill\"", "seccomp = \"errno\"");
    Ledger ledger;
    for (const char* call : {"rename", "fsync", "fdatasync", "pwrite64", "write"}) {
      CAPTURE(call);
      int killed = 0;
      for (int when = 1; when <= 8; ++when) {
        CAPTURE(when);
        auto keyd = under_strace(
            folder, std::string(call) + ":signal=SIGKILL:when=" + std::to_string(when));
        // each commits once a second; the first three come for certain, however late
        if (!keyd.wait(when <= 3 ? 30s : 1500ms)) {
          keyd.kill();
        } else {
          ++killed;
        }
        if (const auto state = folder.state()) ledger.look(*state);
      }
      CHECK(killed >= 3);
    }
    auto keyd = folder.start();
    REQUIRE_MESSAGE(says(keyd, "ready: listening"), keyd.output());
    ledger.look(*folder.state());
    verify_audit_log(folder);
  }

#ifndef TICKET_SANITIZED  // a sanitizer does not survive that its own writes fail
  TEST_CASE("promise 9: a disk that fails now and then costs time, not state") {
    const AuthorityFolder folder;
    folder.replace_in_config("# seccomp = \"kill\"", "seccomp = \"errno\"");
    for (const char* fault : {"fsync:error=EIO:when=3+4", "rename:error=ENOSPC:when=2+3",
                              "write:error=ENOSPC:when=30+9", "openat:error=EMFILE:when=400+50"}) {
      CAPTURE(fault);
      Ledger ledger;
      auto keyd = under_strace(folder, fault);
      REQUIRE_MESSAGE(says(keyd, "ready: listening"), keyd.output());
      const auto first = folder.state()->pool("web")->generation;
      ledger.look(*folder.state());
      // it complains, tries again after 5 s, and goes on
      const auto goes_on = [&] {
        ledger.look(*folder.state());
        return folder.state()->pool("web")->generation > first + 2000;
      };
      CHECK_MESSAGE(support::wait_until(goes_on, 30s), keyd.output());
      CHECK(keyd.alive());
    }
  }
#endif

  TEST_CASE("promise 9: an older copy of the state is gone on from, and nobody sees it twice") {
    const AuthorityFolder folder;
    const auto host = folder.add_member("web1");
    Process agent({(support::build_root() / "keyd/keyd").string(), "agent", "--config",
                   (host / "agent.toml").string()});
    std::string backup;
    Ledger ledger;
    {
      auto keyd = folder.start();
      REQUIRE(says(agent, "ready: web"));
      backup = support::read_text(folder.state_file());
      const auto then = folder.state()->pool("web")->last_epoch;
      REQUIRE(support::wait_until(
          [&] { return folder.state()->pool("web")->last_epoch > then + 2; }, 20s));
      keyd.kill();
      ledger.look(*folder.state());
    }
    const auto last = folder.state()->pool("web")->last_epoch;
    support::write_text(folder.state_file(), backup);

    auto keyd = folder.start();
    REQUIRE_MESSAGE(says(keyd, "is an older copy"), keyd.output());
    REQUIRE(says(keyd, "ready: listening"));
    REQUIRE(support::wait_until(
        [&] { return folder.state()->pool("web")->generation > ledger.generation(); }, 10s));
    const auto state = folder.state();
    for (const auto& epoch : state->pool("web")->epochs) {
      CHECK((epoch.number <= last - 2 || epoch.number > last));
    }
    CHECK_MESSAGE(support::wait_until(
                      [&] {
                        return agent.output().rfind(
                                   "applied web generation " +
                                   std::to_string(folder.state()->pool("web")->generation)) !=
                               std::string::npos;
                      },
                      20s),
                  agent.output());
  }

  TEST_CASE("promise 9: a torn state is refused, with the way out, and left as it is") {
    const AuthorityFolder folder;
    {
      auto keyd = folder.start();
      REQUIRE(says(keyd, "ready: listening"));
      keyd.send(SIGTERM);
      keyd.wait(10s);
    }
    const auto whole = support::read_text(folder.state_file());
    std::mt19937 random(1);
    std::vector<std::size_t> cuts{0, 1, 9, 33, 34, 73, whole.size() - 1};
    for (int i = 0; i < 5; ++i) cuts.push_back(random() % whole.size());
    for (const auto cut : cuts) {
      CAPTURE(cut);
      support::write_text(folder.state_file(), whole.substr(0, cut));
      auto keyd = folder.start();
      CHECK(keyd.wait(20s) == 1);
      CHECK_MESSAGE(keyd.output().find(folder.state_file().string()) != std::string::npos,
                    keyd.output());
      CHECK(support::read_text(folder.state_file()).size() == cut);
    }
    support::write_text(folder.state_file(), whole);
    auto keyd = folder.start();
    CHECK_MESSAGE(says(keyd, "ready: listening"), keyd.output());
  }
}
