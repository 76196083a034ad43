#include "agent_state.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "fake_keyd.hpp"
#include "key_file.hpp"

using namespace test;
using keyd::AgentState;

namespace {

// A state folder as an agent leaves it.
struct Kept {
  Kept() {
    keyd.rotate(noon);
    host.boot();
    host.settle();
    host.kill();
  }

  AgentState load() {
    complaints.clear();
    return AgentState(host.state(), "web", keyd.signer(),
                      [this](const std::string& what) { complaints.push_back(what); });
  }

  FakeKeyd keyd;
  Host host{keyd};
  std::vector<std::string> complaints;
};

bool same_bytes(const std::optional<crypto::BoxSecret>& key, const std::string& file_content) {
  return key && base64url(key->expose()) + "\n" == file_content;
}

}  // namespace

TEST_SUITE("agent state") {
  TEST_CASE("what was stored is read again") {
    Kept kept;
    const auto key = read(kept.host.state() / "sealing.key");

    const auto state = kept.load();

    CHECK(kept.complaints.empty());
    CHECK(same_bytes(state.key(), key));
    CHECK_FALSE(state.successor().has_value());
    CHECK(state.mark().applied.generation == kept.keyd.generation());
    CHECK(state.mark().enrolled_at == noon);
    CHECK(state.bundle().has_value());
  }

  TEST_CASE("an empty folder is made, for its owner alone") {
    Folder folder;
    AgentState state(folder / "a" / "web", "web", {}, [](const std::string& what) { FAIL(what); });

    struct stat status {};
    REQUIRE(stat((folder / "a" / "web").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK_FALSE(state.key().has_value());
    CHECK(state.mark().applied.generation == 0);
  }

  TEST_CASE("every file is for its owner alone") {
    Kept kept;
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kept.host.state())) {
      CAPTURE(entry.path());
      struct stat status {};
      REQUIRE(stat(entry.path().c_str(), &status) == 0);
      CHECK((status.st_mode & 0777) == 0600);
      ++files;
    }
    CHECK(files == 3);
  }

  TEST_CASE("every truncation of every file is told and costs no high-water mark") {
    for (const auto* name : {"sealing.key", "bundle.json", "applied.json"}) {
      Kept kept;
      const auto file = kept.host.state() / name;
      const auto whole = read(file);
      const auto stride = std::max<std::size_t>(1, whole.size() / 60);
      for (std::size_t size = 0; size + 2 < whole.size(); size += stride) {
        CAPTURE(name);
        CAPTURE(size);
        write(file, whole.substr(0, size));
        const auto state = kept.load();

        REQUIRE(kept.complaints.size() == 1);
        CHECK(kept.complaints[0].find(file.string()) == 0);
        CHECK(state.mark().applied.generation == kept.keyd.generation());
      }
    }
  }

  TEST_CASE("a host whose files are damaged enrols anew and keeps refusing what is old") {
    for (const auto* name : {"sealing.key", "bundle.json", "applied.json"}) {
      CAPTURE(name);
      Kept kept;
      const auto old_body = kept.keyd.body();
      kept.host.now += 60s;
      kept.keyd.rotate(kept.host.now);
      kept.host.boot();
      while (kept.host.generation() != kept.keyd.generation()) kept.host.step();
      kept.host.kill();
      write(kept.host.state() / name, "damaged");

      std::filesystem::remove(kept.host.ring_path());
      kept.host.boot();
      kept.keyd.bundle_override = old_body;
      kept.host.steps(6);
      CHECK(kept.host.life->refusals().count(Rejection::rollback) == 1);

      kept.keyd.bundle_override.clear();
      for (int i = 0; i < 20 && kept.host.life->troubled(); ++i) kept.host.step();
      kept.keyd.rotate(kept.host.now);
      kept.host.settle();
      CHECK(kept.host.generation() == kept.keyd.generation());
    }
  }

  TEST_CASE("a key that other users can read is set aside") {
    Kept kept;
    chmod((kept.host.state() / "sealing.key").c_str(), 0644);
    const auto state = kept.load();
    CHECK_FALSE(state.key().has_value());
    REQUIRE(kept.complaints.size() == 1);
    CHECK(kept.complaints[0].find("chmod 0600") != std::string::npos);
  }

  TEST_CASE("a kill between bundle and mark leaves the bundle ahead, and that counts") {
    Kept kept;
    const auto mark = read(kept.host.state() / "applied.json");
    kept.host.now += 60s;
    kept.keyd.rotate(kept.host.now);
    kept.host.boot();
    while (kept.host.generation() != kept.keyd.generation()) kept.host.step();
    kept.host.kill();
    write(kept.host.state() / "applied.json", mark);  // as the kill leaves it

    const auto state = kept.load();

    CHECK(kept.complaints.empty());
    CHECK(state.mark().applied.generation == kept.keyd.generation());
  }

  TEST_CASE("another signer's bundle raises no mark") {
    Kept kept;
    FakeKeyd other;
    other.rotate(noon + 1h);
    const auto bundle = json{{"bundle", other.body()}, {"wrap", "AAAA"}};
    write(kept.host.state() / "bundle.json", bundle.dump());

    CHECK(kept.load().mark().applied.generation == kept.keyd.generation());
  }

  TEST_CASE("a kill while the successor takes over leaves one that opens the stored wrap") {
    const char* const moments[] = {"before the wipe", "wiped in place", "after the wipe",
                                   "after the rename"};
    for (const std::string moment : moments) {
      CAPTURE(moment);
      Kept kept;
      const auto key = kept.host.state() / "sealing.key", next = kept.host.state() / "next.key";
      const auto generation = kept.keyd.generation();
      // sealing.key is the one that the stored wrap opens with: here the successor
      if (moment != "after the rename") std::filesystem::rename(key, next);
      if (moment == "before the wipe") keyd::write_key_file(key, Secret<32>::random());
      if (moment == "wiped in place") {
        keyd::write_key_file(key, Secret<32>::random());
        write(key, std::string(44, '\0'));
      }
      kept.keyd.dead = true;

      kept.host.reboot();

      CHECK(kept.host.generation() == generation);
      CHECK(std::filesystem::exists(key));
      CHECK_FALSE(std::filesystem::exists(next));
    }
  }

  TEST_CASE("what is forgotten is gone, the mark stays") {
    Kept kept;
    auto state = kept.load();
    state.make_successor();
    CHECK(AgentState::remembers(kept.host.state()));
    state.forget();

    CHECK_FALSE(AgentState::remembers(kept.host.state()));
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kept.host.state())) {
      CHECK(entry.path().filename() == "applied.json");
      ++files;
    }
    CHECK(files == 1);
    CHECK(kept.load().mark().applied.generation == kept.keyd.generation());
  }
}

TEST_SUITE("key file") {
  TEST_CASE("a key is written and read again, 43 characters and a newline, mode 0600") {
    Folder folder;
    const auto file = folder / "a.key";
    const auto key = Secret<32>::random();
    keyd::write_key_file(file, key);

    CHECK(read(file) == base64url(key.expose()) + "\n");
    CHECK(keyd::read_key_file(file) == key);
    struct stat status {};
    REQUIRE(stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }

  TEST_CASE("files that are no keys are refused by name") {
    const auto good = base64url(Secret<32>::random().expose());
    const struct {
      std::string content;
      mode_t mode;
      const char* why;
    } rows[] = {
        {"", 0600, "not a key"},
        {good.substr(1), 0600, "not a key"},
        {good + "A", 0600, "not a key"},
        {good + "=", 0600, "not a key"},
        {good.substr(0, 42) + "+", 0600, "not a key"},
        {good.substr(0, 20) + "\n" + good.substr(20), 0600, "not a key"},
        {std::string(300, 'A'), 0600, "larger than 256 bytes"},
        {good, 0644, "chmod 0600"},
        {good, 0602, "chmod 0600"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.content);
      Folder folder;
      const auto file = folder / "a.key";
      write(file, row.content);
      chmod(file.c_str(), row.mode);
      std::string what;
      try {
        keyd::read_key_file(file);
      } catch (const keyd::KeyFileError& error) {
        what = error.what();
      }
      CHECK(what.find(file.string() + ": ") == 0);
      CHECK(what.find(row.why) != std::string::npos);
      CHECK((row.content.size() < 40 || what.find(row.content.substr(0, 40)) == std::string::npos));
    }
  }

  TEST_CASE("a missing key file is told") {
    CHECK_THROWS_WITH_AS(keyd::read_key_file("/nonexistent/a.key"),
                         "/nonexistent/a.key: No such file or directory", keyd::KeyFileError);
  }

  TEST_CASE("a public key is 43 characters, white space around them") {
    const auto text = base64url(Secret<32>::random().expose());
    CHECK(keyd::read_public_key(text).has_value());
    CHECK(keyd::read_public_key(" " + text + "\n").has_value());
    CHECK_FALSE(keyd::read_public_key(text + "A").has_value());
    CHECK_FALSE(keyd::read_public_key("").has_value());
  }
}
