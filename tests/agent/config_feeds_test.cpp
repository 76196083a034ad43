#include <doctest/doctest.h>
#include <sys/stat.h>

#include "config.hpp"
#include "fake_keyd.hpp"
#include "support/rings.hpp"

using namespace test;

namespace {

const char* const agent_toml = R"([agent]
servers = ["127.0.0.1:7443"]
ca = "ca.pem"
authority_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
state_dir = "state"

[[pool]]
name = "web"
certificate = "member.pem"
key = "member.key"
ring = "run/web.ring"

[[haproxy]]
pool = "web"
context = "plain"
file = "run/plain.keys"
sockets = ["admin.sock", "/run/other.sock"]

[[keyfile]]
pool = "web"
context = "plain"
layout = "nginx"
paths = ["run/0.key", "run/1.key"]
on_change = ["/bin/true", "now"]
)";

struct Files {
  Files() {
    write(folder / "ca.pem", "x");
    write(folder / "member.pem", "x");
    write(folder / "member.key", "x");
    chmod((folder / "member.key").c_str(), 0600);
    std::filesystem::create_directory(folder / "folder");
  }
  std::string file(const std::string& from = "", const std::string& to = "") const {
    std::string text = agent_toml;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    write(folder / "agent.toml", text.replace(at, from.size(), to));
    return folder / "agent.toml";
  }
  Folder folder;
};

std::string message(const Files& files, const std::string& from, const std::string& to) {
  const auto file = files.file(from, to);
  try {
    keyd::read_agent_config(file);
  } catch (const keyd::ConfigError& error) {
    return std::string(error.what()).substr(file.size() + 1);
  }
  return "accepted";
}

}  // namespace

TEST_SUITE("config of feeds") {
  TEST_CASE("both sections are read, paths relative to the file's folder") {
    const Files files;
    const auto config = keyd::read_agent_config(files.file());

    REQUIRE(config.haproxy.size() == 1);
    CHECK(config.haproxy[0].context == "plain");
    CHECK(config.haproxy[0].file == files.folder / "run/plain.keys");
    CHECK(config.haproxy[0].reference == config.haproxy[0].file);
    REQUIRE(config.haproxy[0].sockets.size() == 2);
    CHECK(config.haproxy[0].sockets[0] == files.folder / "admin.sock");
    CHECK(config.haproxy[0].sockets[1] == "/run/other.sock");
    REQUIRE(config.key_files.size() == 1);
    CHECK(config.key_files[0].layout == keyd::KeyLayout::nginx);
    CHECK(config.key_files[0].paths.size() == 2);
    CHECK(config.key_files[0].on_change == std::vector<std::string>{"/bin/true", "now"});
  }

  TEST_CASE("promise 15: a mistake is told with file, line, field and what is allowed") {
    const struct {
      const char *from, *to, *told;
    } mistakes[] = {
        {"file = \"run/plain.keys\"\n", "", "13: [[haproxy]] file: missing; the path after"},
        {"pool = \"web\"\ncontext", "pool = \"api\"\ncontext",
         "14: [[haproxy]] pool: \"api\" is no pool of this file"},
        {"context = \"plain\"\n", "", "13: [[haproxy]] context: missing;"},
        {"run/plain.keys", "run/web.ring", "16: [[haproxy]] file: "},
        {"run/plain.keys", "run/0.key", "23: [[keyfile]] paths: "},
        {"run/plain.keys", "run/two words", "16: [[haproxy]] file: "},
        {"run/plain.keys", "folder", "16: [[haproxy]] file: not a file: "},
        {"file =", "reference = \"a;b\"\nfile =",
         "16: [[haproxy]] reference: \"a;b\" cannot be said to HAProxy; no blanks"},
        {"sockets = [\"admin.sock\", \"/run/other.sock\"]", "sockets = []",
         "17: [[haproxy]] sockets: empty;"},
        {"sockets =", "socket =", "17: [[haproxy]] socket: unknown; did you mean sockets?"},
        {"layout = \"nginx\"\n", "", "19: [[keyfile]] layout: missing; one of nginx haproxy 48"},
        {"\"nginx\"", "\"envoy\"", "22: [[keyfile]] layout: \"envoy\" is unknown; one of"},
        {"\"nginx\"", "\"haproxy\"", "23: [[keyfile]] paths: 2 files; layout haproxy has one"},
        {"\"run/1.key\"", "\"run/0.key\"", "23: [[keyfile]] paths: "},
        {"\"/bin/true\"", "\"true\"", "24: [[keyfile]] on_change: true is no full path"},
        {"\"/bin/true\"", "\"/bin/none\"", "24: [[keyfile]] on_change: no such program: /bin/none"},
        {"[\"/bin/true\", \"now\"]", "\"/bin/true now\"",
         "24: [[keyfile]] on_change: a text, not a list"},
    };
    const Files files;
    for (const auto& mistake : mistakes) {
      CAPTURE(mistake.to);
      const auto told = message(files, mistake.from, mistake.to);
      CAPTURE(told);
      CHECK(told.substr(0, std::string(mistake.told).size()) == mistake.told);
    }
  }

  TEST_CASE("promise 15: the agent writes over no file that has another use") {
    const struct {
      const char *from, *to, *told;
    } mistakes[] = {
        {"run/plain.keys", "ca.pem",
         "16: [[haproxy]] file: FOLDER/ca.pem is taken by ca; the agent writes there: name a file"},
        {"run/plain.keys", "member.pem",
         "16: [[haproxy]] file: FOLDER/member.pem is taken by certificate of the pool web;"},
        {"run/plain.keys", "member.key",
         "16: [[haproxy]] file: FOLDER/member.key is taken by key of the pool web;"},
        {"run/plain.keys", "agent.toml",
         "16: [[haproxy]] file: FOLDER/agent.toml is taken by this configuration;"},
        {"run/plain.keys", "state/web/sealing.key",
         "16: [[haproxy]] file: FOLDER/state/web/sealing.key is taken by the state of the pool "
         "web;"},
        {"run/plain.keys", "state/web/applied.json.new",
         "16: [[haproxy]] file: FOLDER/state/web/applied.json.new is taken by the state of the "},
        {"run/plain.keys", "run/web.ring",
         "16: [[haproxy]] file: FOLDER/run/web.ring is taken by ring of the pool web;"},
        {"run/plain.keys", "run/web.counters",
         "16: [[haproxy]] file: FOLDER/run/web.counters is taken by the counters of the pool web;"},
        {"run/plain.keys", "admin.sock",
         "17: [[haproxy]] sockets: FOLDER/admin.sock is taken by file of [[haproxy]] in line 13;"},
        {"run/plain.keys", "run/0.key.new",
         "23: [[keyfile]] paths: FOLDER/run/0.key.new is taken by file of [[haproxy]] in line 13;"},
        {"run/1.key", "run/0.key.new",
         "23: [[keyfile]] paths: FOLDER/run/0.key.new is taken by paths of [[keyfile]] in line 19 "
         "for its next copy;"},
        {"run/1.key", "/bin/true",
         "24: [[keyfile]] on_change: /bin/true is taken by paths of [[keyfile]] in line 19;"},
        {"run/web.ring", "ca.pem", "11: [[pool]] ring: FOLDER/ca.pem is taken by ca;"},
        {"run/web.ring", "state/web/next.key",
         "11: [[pool]] ring: FOLDER/state/web/next.key is taken by the state of the pool web;"},
        {"\"ca.pem\"", "\"state/web/bundle.json\"",
         "5: [agent] state_dir: FOLDER/state/web/bundle.json is taken by ca;"},
    };
    const Files files;
    std::filesystem::create_directories(files.folder / "state/web");
    write(files.folder / "state/web/bundle.json", "x");
    for (const auto& mistake : mistakes) {
      CAPTURE(mistake.to);
      std::string wanted = mistake.told;
      const auto folder = wanted.find("FOLDER");
      if (folder != std::string::npos) wanted.replace(folder, 6, files.folder.path().string());
      const auto told = message(files, mistake.from, mistake.to);
      CHECK(told.substr(0, wanted.size()) == wanted);
    }
  }

  TEST_CASE("promise 15: nor under another name, whether it or its folder is there yet or not") {
    const Files files;
    std::filesystem::create_symlink(files.folder / "member.key", files.folder / "linked");
    std::filesystem::create_hard_link(files.folder / "member.key", files.folder / "again");
    std::filesystem::create_directory_symlink(files.folder.path(), files.folder / "other");
    const auto told = [&files](const std::string& path, const std::string& by) {
      return message(files, "run/plain.keys", path).find("is taken by " + by) != std::string::npos;
    };
    CHECK(told("linked", "key of the pool web;"));
    CHECK(told("again", "key of the pool web;"));
    CHECK(told("other/ca.pem", "ca;"));
    CHECK(told("other/run/web.ring", "ring of the pool web;"));  // there is no run yet
    std::filesystem::create_directory(files.folder / "run");
    CHECK(told("other/run/web.ring", "ring of the pool web;"));
    CHECK(told("other/run/web.counters", "the counters of the pool web;"));
    CHECK(message(files, "run/plain.keys", "other/run/plain.keys") == "accepted");

    const std::string mail =
        "[[pool]]\nname = \"mail\"\ncertificate = \"member.pem\"\nkey = \"member.key\"\n"
        "ring = \"other/run/web.ring\"\n\n[[haproxy]]";
    CHECK(message(files, "[[haproxy]]", mail).find("is taken by ring of the pool web;") !=
          std::string::npos);
  }

  TEST_CASE("files that the agent only reads may be one") {
    const Files files;
    CHECK(message(files, "\"member.pem\"", "\"member.key\"") == "accepted");
    CHECK(message(files, "\"/run/other.sock\"", "\"./admin.sock\"") == "accepted");
    const std::string mail =
        "[[pool]]\nname = \"mail\"\ncertificate = \"member.pem\"\nkey = \"member.key\"\n"
        "ring = \"run/mail.ring\"\n\n[[haproxy]]";
    CHECK(message(files, "[[haproxy]]", mail) == "accepted");
  }

  TEST_CASE("a socket's path has an end, and its line is told") {
    const Files files;
    CHECK(message(files, "/run/other.sock", "/" + std::string(120, 'x'))
              .find("17: [[haproxy]] sockets: too long: ") == 0);
  }

  TEST_CASE("notes tell of files on a disk") {
    const Files files;
    const auto notes = keyd::notes(keyd::read_agent_config(files.file()), noon);
    REQUIRE(notes.size() == 3);
    CHECK(notes[0].find("plain.keys is not on tmpfs") != std::string::npos);
  }

  TEST_CASE("notes tell what the pool's policy costs there, once the agent has a ring") {
    const Files files;
    const auto config = keyd::read_agent_config(files.file());
    auto ring = ticket::test::ring_of(ticket::test::hourly(1, 1, noon));
    std::filesystem::create_directories(files.folder / "run");
    ticket::ring::RingWriter writer(files.folder / "run/web.ring", "web");
    const auto told = [&](ticket::sys_seconds at) {
      std::string all;
      for (const auto& note : keyd::notes(config, at)) {
        if (note.find("tmpfs") == std::string::npos) all += note + "\n";
      }
      return all;
    };
    ring.policy.rotate_every = 1h;
    ring.policy.lifetime = 12h;
    REQUIRE(writer.publish(ring, noon).has_value());

    // three keys at HAProxy; two files: the key that seals and the next
    const auto notes = told(noon);
    CHECK(notes.find("web, " + config.haproxy[0].file.string() + ": ") != std::string::npos);
    CHECK(notes.find("older than 1h to 2h are full handshakes here") != std::string::npos);
    CHECK(notes.find("web, " + config.key_files[0].paths[0].string() + ": ") != std::string::npos);
    CHECK(told(ring.not_after).empty());

    ring.policy.lifetime = 1h;
    ++ring.generation;
    REQUIRE(writer.publish(ring, noon).has_value());
    CHECK(told(noon).find("plain.keys") == std::string::npos);
  }
}
