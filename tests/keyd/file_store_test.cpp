#include "file_store.hpp"

#include <sys/stat.h>

#include "fixture.hpp"
#include "support/process.hpp"

using namespace test;
using support::TempFolder;

namespace {

Bytes sealed(std::uint64_t counter) {
  keyd::KeeperState state;
  state.counter = counter;
  return keyd::seal_state(state_key(), state);
}

std::string store(keyd::FileStore& store, std::uint64_t expected, std::uint64_t counter) {
  std::string problem = "never answered";
  store.store(expected, sealed(counter), [&](const std::string& told) { problem = told; });
  return problem;
}

std::uint64_t stored_counter(keyd::FileStore& store) {
  std::uint64_t counter = 0;
  store.load([&](keyd::StateStore::Loaded loaded) {
    REQUIRE(loaded.problem == "");
    if (loaded.blob) counter = keyd::open_state(state_key(), *loaded.blob)->counter;
  });
  return counter;
}

}  // namespace

TEST_SUITE("file store") {
  TEST_CASE("what is stored is there again, for its owner only") {
    const TempFolder folder;
    {
      keyd::FileStore first(folder / "state" / "keyd.state");
      CHECK(stored_counter(first) == 0);
      CHECK(store(first, 0, 1) == "");
      CHECK(store(first, 1, 2) == "");
    }
    keyd::FileStore again(folder / "state" / "keyd.state");
    CHECK(stored_counter(again) == 2);
    struct stat status {};
    REQUIRE(::stat((folder / "state" / "keyd.state").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }

  TEST_CASE("two keepers never share a state") {
    const TempFolder folder;
    const keyd::FileStore first(folder / "keyd.state");
    CHECK_THROWS_WITH_AS(keyd::FileStore(folder / "keyd.state"),
                         ("another keyd holds " + (folder / "keyd.state.lock").string() +
                          ": stop it first, or give this one its own state file")
                             .c_str(),
                         std::runtime_error);
  }

  TEST_CASE("a state that somebody else changed is not written over") {
    const TempFolder folder;
    keyd::FileStore store_here(folder / "keyd.state");
    REQUIRE(store(store_here, 0, 1) == "");
    support::write_text(folder / "keyd.state", std::string(as_text(sealed(9))));

    CHECK(store(store_here, 1, 2).find("changed by somebody else") != std::string::npos);
    CHECK(stored_counter(store_here) == 9);
  }

  TEST_CASE("promise 9: a store that fails leaves the old state, and the next one goes on") {
    const TempFolder folder;
    keyd::FileStore store_here(folder / "keyd.state");
    REQUIRE(store(store_here, 0, 1) == "");

    // A folder in the place of the temporary file: it cannot be written.
    std::filesystem::create_directories(folder / "keyd.state.new" / "x");
    CHECK(store(store_here, 1, 2).find("cannot store the state") == 0);
    CHECK(stored_counter(store_here) == 1);

    std::filesystem::remove_all(folder / "keyd.state.new");
    CHECK(store(store_here, 1, 2) == "");
    CHECK(stored_counter(store_here) == 2);
  }

  TEST_CASE("promise 9: an older copy in the place of the state is told from the newest") {
    const TempFolder folder;
    const auto newest = [&] {
      std::optional<std::uint64_t> found;
      keyd::FileStore(folder / "keyd.state").load([&](keyd::StateStore::Loaded loaded) {
        found = loaded.newest;
      });
      return found;
    };
    CHECK_FALSE(newest().has_value());
    {
      keyd::FileStore store_here(folder / "keyd.state");
      REQUIRE(store(store_here, 0, 1) == "");
      REQUIRE(store(store_here, 1, 2) == "");
      CHECK(store(store_here, 7, 8) != "");
    }
    CHECK(newest() == 2);
    support::write_text(folder / "keyd.state.lock", "2");
    CHECK_FALSE(newest().has_value());
  }

  TEST_CASE("promise 9: a full disk leaves the old state") {
    const TempFolder folder;
    const auto disk = folder / "disk";
    std::filesystem::create_directory(disk);
    const auto mount =
        support::run({"mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk.string()});
    if (mount.code != 0) {
      MESSAGE("skipped: no file system can be mounted here");
      return;
    }
    {
      keyd::FileStore store_here(disk / "keyd.state");
      CHECK(store(store_here, 0, 1) == "");
      support::write_text(disk / "fill", std::string(4096, 'x'));
      CHECK(store(store_here, 1, 2).find("No space left") != std::string::npos);
      CHECK(stored_counter(store_here) == 1);
    }
    support::run({"umount", disk.string()});
  }
}
