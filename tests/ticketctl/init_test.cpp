// The folders that init and member add make, by the real program.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "base/bytes.hpp"
#include "crypto/certificate.hpp"
#include "crypto/signature.hpp"
#include "support/process.hpp"

namespace fs = std::filesystem;
using namespace ticket::crypto;

namespace {

support::Outcome ticketctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), support::build_root() / "ticketctl/ticketctl");
  return support::run(arguments);
}

support::Outcome init(const fs::path& folder, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"init", "--dir", folder, "--pool", "web"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ticketctl(arguments);
}

support::Outcome add(const fs::path& folder, const std::string& name,
                     std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"member", "add", name, "--pool", "web", "--dir", folder};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ticketctl(arguments);
}

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Every path with its content, to see that nothing was changed.
std::map<std::string, std::string> all_of(const fs::path& folder) {
  std::map<std::string, std::string> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    content[entry.path()] = entry.is_regular_file() ? support::read_text(entry.path()) : "";
  }
  return content;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string role_in(const fs::path& pem) {
  const auto chain = parse_chain(support::read_text(pem));
  REQUIRE(chain.has_value());
  const auto role = role_of(chain->front().get());
  REQUIRE(role.has_value());
  return role_uri(*role);
}

// What another program than ours says of it.
std::string openssl_verify(const fs::path& ca, const fs::path& leaf, const std::string& purpose) {
  return support::run(
             {"openssl", "verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose, leaf})
      .output;
}

}  // namespace

TEST_SUITE("init") {
  TEST_CASE("init makes the folder of docs/formats.md, its secrets closed to others") {
    const support::TempFolder temp;
    const auto folder = temp / "keyd";
    const auto done = init(folder);

    CHECK(done.code == 0);
    CHECK(contains(done.output, "keyd authority --config " + (folder / "keyd.toml").string()));
    CHECK(contains(done.output, "ticketctl member add web1 --pool web --dir " + folder.string()));
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    CHECK(names == std::set<std::string>{"ca.pem", "ca.key", "keyd.pem", "keyd.key",
                                         "authority.key", "authority.pub", "state.key", "keyd.toml",
                                         "state", "members"});
    CHECK(mode_of(folder) == 0700);
    for (const char* name : {"state", "members"}) CHECK(mode_of(folder / name) == 0700);
    for (const char* name : {"ca.key", "keyd.key", "authority.key", "state.key"}) {
      CAPTURE(name);
      CHECK(mode_of(folder / name) == 0600);
    }
  }

  TEST_CASE("the signing key and its public half belong together; no key is repeated") {
    const support::TempFolder temp;
    REQUIRE(init(temp / "a").code == 0);
    REQUIRE(init(temp / "b").code == 0);
    const auto key_in = [&](const char* path) {
      auto text = support::read_text(temp / path);
      REQUIRE(text.size() == 44);
      REQUIRE(text.back() == '\n');
      text.pop_back();
      const auto key = ticket::from_base64url(text);
      REQUIRE(key.has_value());
      return *key;
    };

    ticket::Secret<32> seed;
    const auto bytes = key_in("a/authority.key");
    std::copy(bytes.begin(), bytes.end(), seed.fill().begin());
    const auto expected = signer_public(seed);
    CHECK(key_in("a/authority.pub") == ticket::Bytes(expected.begin(), expected.end()));
    CHECK(std::set<ticket::Bytes>{key_in("a/authority.key"), key_in("b/authority.key"),
                                  key_in("a/state.key"), key_in("b/state.key")}
              .size() == 4);
  }

  TEST_CASE("certificates verify with the openssl program, and carry the roles") {
    const support::TempFolder temp;
    const auto folder = temp / "keyd";
    REQUIRE(init(folder, {"--name", "keyd.example.org", "--name", "192.0.2.9"}).code == 0);
    REQUIRE(add(folder, "web1").code == 0);
    const auto ca = folder / "ca.pem", member = folder / "members/web1/member.pem";

    CHECK(contains(openssl_verify(ca, folder / "keyd.pem", "sslserver"), ": OK"));
    CHECK_FALSE(contains(openssl_verify(ca, folder / "keyd.pem", "sslclient"), ": OK"));
    CHECK(contains(openssl_verify(ca, member, "sslclient"), ": OK"));
    CHECK_FALSE(contains(openssl_verify(ca, member, "sslserver"), ": OK"));
    CHECK(role_in(folder / "keyd.pem") == "ticket:keyd");
    CHECK(role_in(member) == "ticket:member:web:web1");
    const auto names = support::run({"openssl", "x509", "-in", folder / "keyd.pem", "-noout",
                                     "-ext", "subjectAltName"})
                           .output;
    for (const char* name : {"DNS:keyd.example.org", "IP Address:192.0.2.9", "DNS:localhost",
                             "IP Address:127.0.0.1"}) {
      CAPTURE(name);
      CHECK(contains(names, name));
    }
  }

  TEST_CASE(
      "promise 15: init refuses a folder with anything of a pool in it, and changes nothing") {
    for (const char* name : {"ca.pem", "ca.key", "keyd.pem", "keyd.key", "authority.key",
                             "authority.pub", "state.key", "keyd.toml", "state", "members"}) {
      CAPTURE(name);
      const support::TempFolder temp;
      support::write_text(temp / name, "mine");
      support::write_text(temp / "notes.txt", "mine too");
      const auto before = all_of(temp.path());

      const auto refused = init(temp.path());
      CHECK(refused.code == 2);
      CHECK(contains(refused.output, (temp / name).string()));
      CHECK(all_of(temp.path()) == before);

      fs::remove(temp / name);
      fs::create_symlink("/nonexistent", temp / name);
      CHECK(init(temp.path()).code == 2);
    }
    const support::TempFolder temp;
    support::write_text(temp / "notes.txt", "mine");
    CHECK(init(temp.path()).code == 0);
    CHECK(init(temp / "notes.txt").code == 2);
  }

  TEST_CASE("promise 15: impossible wishes are told by option, and nothing is made") {
    const struct {
      std::vector<std::string> options;
      const char* says;
    } wishes[] = {
        {{"--rotate-every", "7h"}, "publish-ahead"},
        {{"--rotate-every", "5s"}, "epochs at once"},
        {{"--lifetime", "8d"}, "at most 7d"},
        {{"--lifetime", "0s"}, "at least 1s"},
        {{"--rotate-every", "60"}, "--rotate-every 60: not a duration"},
        {{"--lineage", "1 h"}, "--lineage"},
        {{"--stretch", "1w"}, "--stretch"},
        {{"--listen", "7443"}, "--listen 7443"},
        {{"--listen", "host:99999"}, "--listen"},
        {{"--name", "a b"}, "--name a b"},
        {{"--days", "0"}, "--days"},
        {{"--days", "4000"}, "--days"},
        {{"--days", "x"}, "x"},
        {{"--pool", "../web"}, "--pool ../web"},
        {{"--pool", ""}, "--pool"},
        {{"--pool", std::string(64, 'a')}, "1 to 63"},
        {{"--frob"}, "frob"},
        {{"extra"}, "extra"},
    };

    for (const auto& wish : wishes) {
      CAPTURE(wish.options.back());
      const support::TempFolder temp;
      const auto refused = init(temp / "keyd", wish.options);
      CAPTURE(refused.output);
      CHECK(refused.code == 2);
      CHECK(contains(refused.output, wish.says));
      CHECK_FALSE(fs::exists(temp / "keyd"));
    }
    CHECK(ticketctl({"init", "--pool", "web"}).code == 2);
    CHECK(ticketctl({"init", "--dir", "x"}).code == 2);
  }

  TEST_CASE("what cannot be written whole is taken back") {
    const support::TempFolder temp;
    // a file where a parent folder should be
    support::write_text(temp / "file", "");
    const auto failed = init(temp / "file/keyd");

    CHECK(failed.code != 0);
    CHECK(contains(failed.output, (temp / "file").string()));

    // no file may be longer than 1024 bytes: keyd.toml, the last one, is
    const auto limited = support::run(
        {"sh", "-c", "trap '' XFSZ; ulimit -f 2; exec \"$0\" init --dir \"$1\" --pool web",
         support::build_root() / "ticketctl/ticketctl", temp / "new/keyd"});
    CAPTURE(limited.output);
    CHECK(limited.code == 1);
    CHECK(contains(limited.output, "keyd.toml"));
    CHECK_FALSE(fs::exists(temp / "new"));
  }

  TEST_CASE("keyd.toml says what was asked for") {
    const support::TempFolder temp;
    REQUIRE(init(temp / "keyd", {"--listen", "[::1]:8443", "--rotate-every", "5s", "--lifetime",
                                 "60s", "--publish-ahead", "10s"})
                .code == 0);
    const auto text = support::read_text(temp / "keyd/keyd.toml");

    for (const char* line :
         {"\nlisten = [\"[::1]:8443\"]\n", "\nname = \"web\"\n", "\nrotate_every = \"5s\"\n",
          "\nlifetime = \"1m\"\n", "\npublish_ahead = \"10s\"\n", "\nstretch = \"1m\"\n",
          "\nlineage = \"1d\"\n"}) {
      CAPTURE(line);
      CHECK(contains(text, line));
    }
  }
}

TEST_SUITE("member add") {
  TEST_CASE("a member's folder has what its agent needs, and init's pool in it") {
    const support::TempFolder temp;
    const auto folder = temp / "keyd";
    REQUIRE(init(folder).code == 0);
    const auto done =
        add(folder, "web1", {"--server", "keyd.lan:7443", "--ring", "/run/a \"b\".ring"});

    CHECK(done.code == 0);
    CHECK(contains(done.output, (folder / "members/web1").string()));
    const auto made = folder / "members/web1";
    CHECK(mode_of(made) == 0700);
    CHECK(mode_of(made / "member.key") == 0600);
    CHECK(support::read_text(made / "ca.pem") == support::read_text(folder / "ca.pem"));
    auto key = support::read_text(folder / "authority.pub");
    key.pop_back();
    const auto text = support::read_text(made / "agent.toml");
    CHECK(contains(text, "\nservers = [\"keyd.lan:7443\"]\n"));
    CHECK(contains(text, "\nauthority_key = \"" + key + "\"\n"));
    CHECK(contains(text, "\nring = \"/run/a \\\"b\\\".ring\"\n"));
  }

  TEST_CASE("promise 15: a wrong folder, pool, name or CA is refused by its name") {
    const support::TempFolder temp;
    const auto folder = temp / "keyd";
    REQUIRE(init(folder).code == 0);
    REQUIRE(init(temp / "other").code == 0);
    REQUIRE(add(folder, "web1").code == 0);
    const auto before = all_of(folder);
    const auto refused = [&](const support::Outcome& outcome, const std::string& says) {
      CAPTURE(outcome.output);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.output, says));
      CHECK(all_of(folder) == before);
    };

    refused(add(folder, "web1"), "is there already");
    refused(add(folder, "../web1"), "NAME ../web1");
    refused(add(folder, "a:b"), "NAME a:b");
    refused(add(folder, "web2", {"--server", "keyd"}), "--server keyd");
    refused(add(folder, "web2", {"--server", "0.0.0.0:1"}), "every address");
    refused(add(folder, "web2", {"--ring", "/run/a\nb"}), "--ring");
    refused(add(folder, "web2", {"--days", "0"}), "--days");
    refused(add(folder, "web2", {"--ca-key", temp / "other/ca.key"}), "is not the key of");
    refused(add(folder, "web2", {"--ca-key", temp / "none"}), "--ca-key");
    refused(add(folder, "web2", {"--ca-key", folder / "ca.pem"}), "not a private key");
    refused(add(temp / "none", "web2"), "ticketctl init");
    refused(ticketctl({"member", "add", "web2", "--pool", "shop", "--dir", folder}),
            "which has: web");
    refused(ticketctl({"member", "add", "--pool", "web", "--dir", folder}), "NAME is missing");
  }

  TEST_CASE(
      "a broken keyd.toml is told by line; a pool of another CA gets no certificate of ours") {
    const support::TempFolder temp;
    const auto folder = temp / "keyd";
    REQUIRE(init(folder).code == 0);
    const auto good = support::read_text(folder / "keyd.toml");

    support::write_text(folder / "keyd.toml", "[authority]\nlisten = \n");
    const auto broken = add(folder, "web1");
    CHECK(broken.code == 2);
    CHECK(contains(broken.output, "keyd.toml:2:"));

    auto foreign = good;
    foreign.replace(foreign.find("members_ca = \"ca.pem\""), 21, "members_ca = \"fo.pem\"");
    support::write_text(folder / "keyd.toml", foreign);
    const auto other = add(folder, "web1");
    CHECK(other.code == 2);
    CHECK(contains(other.output, "fo.pem"));
    CHECK(fs::is_empty(folder / "members"));
  }
}
