#include "ticket_key_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <thread>

#include "support/process.hpp"
#include "support/rings.hpp"

using namespace ticket;
using namespace ticket::test;
using keyd::KeyLayout;
using keyd::TicketKeyFile;
using support::read_text;
using support::write_text;

namespace {

// A section of agent.toml at work, its clock turned by hand.
struct Section {
  explicit Section(KeyLayout layout, std::size_t files = 3,
                   std::vector<std::string> on_change = {}) {
    settings.pool = "web";
    settings.context = "default";
    settings.layout = layout;
    for (std::size_t i = 0; i < files; ++i) {
      settings.paths.push_back(folder / "keys" / (std::to_string(i) + ".key"));
    }
    settings.on_change = std::move(on_change);
    settings.log = [this](auto, const std::string& text) { log += text + "\n"; };
    feed.emplace(settings);
  }

  bool at(seconds after_noon) {
    now = noon + after_noon;
    return feed->update(ring, now, t);
  }
  std::string file(std::size_t i = 0) const { return read_text(settings.paths[i]); }
  std::string key(std::size_t slot) const {
    const auto held = keyd::held_keys(ring, "default", settings.layout, settings.paths.size(), now);
    return std::string(as_text(held.keys[slot].expose()));
  }
  // Until the command that runs has ended.
  void settle() {
    const auto before = feed->sight().commands;
    support::wait_until(
        [&] {
          feed->update(ring, now, t);
          return feed->sight().commands > before;
        },
        10s);
  }

  support::TempFolder folder;
  std::string log;
  TicketKeyFile::Settings settings;
  ring::Ring ring = ring_of(hourly(1, 4));
  sys_seconds now = noon;
  keyd::ChangeCommand::Clock::time_point t{};
  std::optional<TicketKeyFile> feed;
};

}  // namespace

TEST_SUITE("ticket key file") {
  TEST_CASE("files are written once for each set of keys, 0600, the first seals") {
    Section section(KeyLayout::nginx);

    CHECK(section.at(1h));
    CHECK_FALSE(section.at(1h + 59min));
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(section.file(i) == section.key(i));
      struct stat status {};
      REQUIRE(stat(section.settings.paths[i].c_str(), &status) == 0);
      CHECK((status.st_mode & 0777) == 0600);
    }
    const auto next = section.file(1), sealing = section.file(0);

    CHECK(section.at(2h));
    CHECK(section.file(0) == next);
    CHECK(section.file(2) == sealing);
  }

  TEST_CASE("HAProxy's file has three lines: previous, seals, next") {
    Section section(KeyLayout::haproxy, 1);
    section.at(1h);
    const auto text = section.file();
    REQUIRE(text.size() == 3 * 109);
    section.at(2h);
    CHECK(section.file().substr(0, 2 * 109) == text.substr(109));
  }

  TEST_CASE("who finds its keys in place writes nothing") {
    Section section(KeyLayout::nginx);
    section.at(1h);
    section.feed.emplace(section.settings);

    CHECK_FALSE(section.at(1h + 1s));
    CHECK(section.feed->sight().writes == 0);
  }

  TEST_CASE("what somebody else wrote, removed or opened to others is put right") {
    Section section(KeyLayout::nginx);
    section.at(1h);
    const auto& path = section.settings.paths[0];

    const std::function<void()> harms[] = {
        [&] { write_text(path, "x"); },
        [&] { std::filesystem::remove(path); },
        [&] { chmod(path.c_str(), 0644); },
    };
    for (const auto& harm : harms) {
      harm();
      CHECK(section.at(1h));
      CHECK(section.file() == section.key(0));
      CHECK_FALSE(section.at(1h));
    }
  }

  TEST_CASE("a file of other keys, or none that can be read, is told") {
    Section section(KeyLayout::nginx, 1);
    std::filesystem::create_directory(section.folder / "keys");
    write_text(section.settings.paths[0], std::string(48, 'k'));
    section.at(1h);
    CHECK(section.log.find("0.key had 48 bytes where the pool's 80-byte keys take 80; it is "
                           "replaced") != std::string::npos);

    Section blocked(KeyLayout::nginx, 1);
    std::filesystem::create_directories(blocked.settings.paths[0]);
    blocked.at(1h);
    CHECK(blocked.log.find("is a folder or a device, not a key file") != std::string::npos);
    CHECK(blocked.feed->sight().failures == 1);
    blocked.at(1h);
    CHECK(blocked.feed->sight().failures == 1);  // it waits before the next attempt
    blocked.t += 1min;
    std::filesystem::remove(blocked.settings.paths[0]);
    CHECK(blocked.at(1h));
    CHECK(blocked.feed->sight().trouble.empty());
  }

  TEST_CASE("past the last epoch the files hold keys that nobody else has") {
    Section section(KeyLayout::nginx);
    section.at(3h);
    const auto last = section.file(0);

    CHECK(section.at(24h));

    for (std::size_t i = 0; i < 3; ++i) CHECK(section.file(i).substr(0, 16) != last.substr(0, 16));
    CHECK(section.file(0) != section.file(1));
    CHECK(section.log.find("no key may seal now") != std::string::npos);
    CHECK_FALSE(section.at(25h));
  }

  TEST_CASE("on_change runs after each change, and again after it failed") {
    support::TempFolder there;
    const std::string ran = there / "ran", ok = there / "ok";
    Section section(KeyLayout::nginx, 1,
                    {"/bin/sh", "-c", "echo \"$1\" >> \"$0\"; test -e " + ok, ran, "a;b $(c)"});

    section.at(1h);
    section.settle();
    CHECK(read_text(ran) == "a;b $(c)\n");  // no shell has touched the arguments
    CHECK(section.feed->sight().commands_failed == 1);
    CHECK(section.log.find("on_change /bin/sh: exit status 1; the server may still use older") !=
          std::string::npos);

    write_text(ok, "");
    section.t += 1min;
    section.at(1h);
    section.settle();
    CHECK(section.feed->sight().commands == 2);
    CHECK(section.feed->sight().commands_failed == 1);
    CHECK(section.feed->sight().trouble.empty());
    section.at(1h);
    CHECK(read_text(ran) == "a;b $(c)\na;b $(c)\n");
  }

  TEST_CASE("on_change is ended, with what it started, when it takes too long") {
    Section section(KeyLayout::nginx, 1, {"/bin/sh", "-c", "sleep 1000 & wait"});
    section.at(1h);

    section.t += keyd::ChangeCommand::longest;
    section.settle();

    CHECK(section.log.find("took longer than 30 s") != std::string::npos);
  }

  TEST_CASE("no key stands in the log") {
    Section section(KeyLayout::nginx, 2);
    std::string keys;
    for (int hour = 0; hour < 24; ++hour) {
      section.at(hour * 1h);
      const auto text = section.file(0);
      CHECK(section.log.find(text.substr(16, 8)) == std::string::npos);
      CHECK(section.log.find(hex(as_bytes(text.substr(16, 8)))) == std::string::npos);
    }
  }

  TEST_CASE("a path on a disk is warned of, one on tmpfs is not") {
    CHECK(keyd::disk_warning("/etc/none/web.keys").has_value());
    CHECK_FALSE(keyd::disk_warning("/dev/shm/none/web.keys").has_value());
  }
}
