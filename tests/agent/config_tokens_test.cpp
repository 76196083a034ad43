// [pool.tokens] of keyd.toml.
#include "config_tokens.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "support/process.hpp"

using namespace std::chrono_literals;
using keyd::Attester;
using keyd::ConfigError;

namespace {

// 15 lines, then [pool.tokens] in line 16.
const std::string authority_toml = R"([authority]
listen = ["127.0.0.1:7443"]
certificate = "keyd.pem"
key = "keyd.key"
signing_key = "keyd.key"
state = "state/keyd.state"
state_key = "keyd.key"
admin = "keyd.sock"

[[pool]]
name = "mail"
members_ca = "ca.pem"
[[pool]]
name = "web"
members_ca = "ca.pem"
[pool.tokens]
listen = "192.0.2.1:8443"
name = "issuer.example"
origins = ["a.test", "b.test:8443"]
certificate = "issuer.pem"
key = "issuer.key"
types = ["blind-rsa", "ristretto"]
ristretto_type = 61445
issue_for = "12h"
redeem_for = "1d"
publish_ahead = "2h"
attest = ["certificate", "bearer"]
attest_ca = "clients.pem"
attest_secrets = "secrets"
budget = 50
budget_window = "10m"
capacity = 2000
redis = "run/redis.sock"
redis_durable = true
)";

const std::string least =
    "listen = \"127.0.0.1:0\"\nname = \"localhost:8080\"\nattest = [\"open\"]\n"
    "redeemer = \"web1\"\n";

const std::string hash(64, 'a');

struct Files {
  Files() {
    for (const auto* name : {"ca.pem", "clients.pem", "keyd.pem", "issuer.pem", "keyd.key",
                             "issuer.key", "open.key", "secrets", "bad-secrets"}) {
      support::write_text(folder / name, "x");
      chmod((folder / name).c_str(), 0600);
    }
    chmod((folder / "open.key").c_str(), 0644);
    support::write_text(folder / "secrets", "alice " + hash + "\n");
    support::write_text(folder / "bad-secrets", "alice " + hash + "\nbob hunter2\n");
  }

  std::string file(const std::string& content) const {
    support::write_text(folder / "keyd.toml", content);
    return (folder / "keyd.toml").string();
  }
  keyd::AuthorityConfig read(const std::string& content) const {
    return keyd::read_authority_config(file(content));
  }
  std::string message(const std::string& content) const {
    const auto name = file(content);
    try {
      keyd::read_authority_config(name);
    } catch (const ConfigError& error) {
      const std::string what = error.what();
      REQUIRE(what.find(name + ":") == 0);
      return what.substr(name.size() + 1);
    }
    return "accepted";
  }
  support::TempFolder folder;
};

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The file with another section.
std::string with_tokens(const std::string& section) {
  const std::string head = "[pool.tokens]\n";
  return authority_toml.substr(0, authority_toml.find(head) + head.size()) + section;
}

}  // namespace

TEST_SUITE("config of tokens") {
  TEST_CASE("every setting is read, paths relative to the file's folder") {
    Files files;
    const auto config = files.read(authority_toml);
    CHECK_FALSE(config.pools[0].tokens.has_value());
    REQUIRE(config.pools[1].tokens.has_value());

    keyd::TokensConfig expected;
    expected.listen = {"192.0.2.1", "8443"};
    expected.name = "issuer.example";
    expected.origins = {"a.test", "b.test:8443"};
    expected.certificate = files.folder / "issuer.pem";
    expected.key = files.folder / "issuer.key";
    expected.ristretto = true;
    expected.ristretto_type = 61445;
    expected.issue_for = 12h;
    expected.redeem_for = 24h;
    expected.publish_ahead = 2h;
    expected.attest = {Attester::certificate, Attester::bearer};
    expected.attest_ca = files.folder / "clients.pem";
    expected.attest_secrets = files.folder / "secrets";
    expected.budget = 50;
    expected.budget_window = 10min;
    expected.capacity = 2000;
    expected.redis = keyd::Address{(files.folder / "run/redis.sock").string(), ""};
    expected.redis_durable = true;
    CHECK(*config.pools[1].tokens == expected);
  }

  TEST_CASE("what is left out has its default: blind RSA alone, no plain HTTP but on loopback") {
    Files files;
    const auto tokens = *files.read(with_tokens(least)).pools[1].tokens;
    keyd::TokensConfig expected;
    expected.listen = {"127.0.0.1", "0"};
    expected.name = "localhost:8080";
    expected.attest = {Attester::open};
    expected.redeemer = "web1";
    CHECK(tokens == expected);
    CHECK(tokens.blind_rsa);
    CHECK_FALSE(tokens.ristretto);
  }

  TEST_CASE("promise 15: a mistake is told with file, line, field and what is allowed") {
    struct {
      std::string from, to, message;
    } const mistakes[] = {
        {"[pool.tokens]", "[pool.token]", "16: [[pool]] token: unknown; did you mean tokens?"},
        {"[pool.tokens]", "[[pool.tokens]]",
         "16: [[pool]] tokens: a list, not a table; write [pool.tokens] below its [[pool]]"},
        {"budget = 50", "budjet = 50", "30: [pool.tokens] budjet: unknown; did you mean budget?"},
        {"listen = \"192.0.2.1:8443\"\n", "", "16: [pool.tokens] listen: missing; write \"HOST:"},
        {"192.0.2.1:8443", "8443", "17: [pool.tokens] listen: \"8443\" is no address"},
        {"\"issuer.example\"", "\"https://issuer.example\"",
         "18: [pool.tokens] name: \"https://issuer.example\" is no host; HOST or HOST:PORT"},
        {"\"issuer.example\"", "\"Issuer.example\"",
         "18: [pool.tokens] name: \"Issuer.example\" is usually spelled \"issuer.example\""},
        {"\"issuer.example\"", "\"\"", "18: [pool.tokens] name: empty"},
        {"\"b.test:8443\"", "\"b.test:0\"", "19: [pool.tokens] origins: \"b.test:0\" is no host"},
        {"\"b.test:8443\"", "\"b.test,c.test\"",
         "19: [pool.tokens] origins: \"b.test,c.test\" is no host"},
        {"\"b.test:8443\"", "\"a.test\"",
         "19: [pool.tokens] origins: \"a.test\" stands twice; each host once"},
        {"\"b.test:8443\"", "\n\"B.test\"",
         "20: [pool.tokens] origins: \"B.test\" is usually spelled \"b.test\""},
        {"certificate = \"issuer.pem\"\n", "",
         "16: [pool.tokens] certificate: missing; both for TLS, or neither for plain HTTP"},
        {"key = \"issuer.key\"\n", "", "16: [pool.tokens] key: missing; both for TLS"},
        {"certificate = \"issuer.pem\"\nkey = \"issuer.key\"\n", "",
         "17: [pool.tokens] listen: 192.0.2.1 is not loopback, and there is no certificate; give"},
        {"\"issuer.key\"", "\"open.key\"", "21: [pool.tokens] key: FOLDER/open.key: other users"},
        {"\"issuer.pem\"", "\"none\"", "20: [pool.tokens] certificate: no such file: FOLDER/none"},
        {"\"ristretto\"]", "\"p384\"]",
         "22: [pool.tokens] types: \"p384\" is unknown; a list of \"blind-rsa\" and \"ristretto\""},
        {"\"ristretto\"]", "\"blind-rsa\"]", "22: [pool.tokens] types: \"blind-rsa\" stands twice"},
        {"[\"blind-rsa\", \"ristretto\"]", "[]", "22: [pool.tokens] types: empty"},
        {"[\"blind-rsa\", \"ristretto\"]", "[\"blind-rsa\"]",
         "23: [pool.tokens] ristretto_type: types does not name \"ristretto\"; leave it out"},
        {"61445", "2", "23: [pool.tokens] ristretto_type: 2 is out of range; a code point from 3"},
        {"61445", "65536", "23: [pool.tokens] ristretto_type: 65536 is out of range"},
        {"61445", "\"5\"", "23: [pool.tokens] ristretto_type: a text, not a number"},
        {"\"12h\"", "\"59s\"", "24: [pool.tokens] issue_for: 59s is out of range; 1m to 90d"},
        {"\"12h\"", "\"5h\"",
         "24: [pool.tokens] issue_for: too many epochs at once; publish_ahead and redeem_for "
         "together are less than 5 times issue_for"},
        {"\"1d\"", "\"0s\"", "25: [pool.tokens] redeem_for: "},
        {"\"2h\"", "\"119s\"", "26: [pool.tokens] publish_ahead: 119s is out of range; 2m to 30d"},
        {"\"2h\"", "7200", "26: [pool.tokens] publish_ahead: a number, not a text"},
        {"[\"certificate\", \"bearer\"]", "[]", "27: [pool.tokens] attest: empty"},
        {"\"bearer\"]", "\"password\"]",
         "27: [pool.tokens] attest: \"password\" is unknown; a list of \"certificate\", "
         "\"bearer\""},
        {"\"bearer\"]", "\"certificate\"]",
         "27: [pool.tokens] attest: \"certificate\" stands twice"},
        {"\"bearer\"]", "\"open\"]",
         "27: [pool.tokens] attest: \"open\", and 192.0.2.1 is not loopback;"},
        {"[\"certificate\", \"bearer\"]", "[\"certificate\"]",
         "29: [pool.tokens] attest_secrets: attest does not name \"bearer\"; leave it out"},
        {"[\"certificate\", \"bearer\"]", "[\"bearer\"]",
         "28: [pool.tokens] attest_ca: attest does not name \"certificate\"; leave it out"},
        {"attest_ca = \"clients.pem\"\n", "", "16: [pool.tokens] attest_ca: missing; the PEM of"},
        {"attest_secrets = \"secrets\"\n", "",
         "16: [pool.tokens] attest_secrets: missing; a line each: NAME and the SHA-256"},
        {"\"secrets\"", "\"open.key\"",
         "29: [pool.tokens] attest_secrets: FOLDER/open.key: other users can read or change it"},
        {"\"secrets\"", "\"bad-secrets\"",
         "29: [pool.tokens] attest_secrets: FOLDER/bad-secrets:2: not a name and 64 hex digits; "
         "a line each"},
        {"budget = 50", "budget = 0",
         "30: [pool.tokens] budget: 0 is out of range; a whole number"},
        {"budget = 50", "budget = -1", "30: [pool.tokens] budget: -1 is out of range"},
        {"budget = 50", "budget = 1.5",
         "30: [pool.tokens] budget: a date or a fraction, not a number; a whole number from 1 to"},
        {"budget = 50", "budget = 4294967297", "30: [pool.tokens] budget: 4294967297 is out of"},
        {"\"10m\"", "\"0s\"", "31: [pool.tokens] budget_window: "},
        {"\"10m\"", "\"366d\"",
         "31: [pool.tokens] budget_window: 366d is out of range; 1s to 365d"},
        {"capacity = 2000", "capacity = 0", "32: [pool.tokens] capacity: 0 is out of range"},
        {"\"run/redis.sock\"", "\"redis\"",
         "33: [pool.tokens] redis: \"redis\" is neither; the path of Redis' Unix socket, or"},
        {"\"run/redis.sock\"", "\"redis.example:0\"", "33: [pool.tokens] redis: \"redis.exa"},
        {"redis_durable = true", "redis_durable = \"yes\"",
         "34: [pool.tokens] redis_durable: a text, not a truth value; true or false"},
        {"redis_durable = true", "redeemer = \"web1\"",
         "34: [pool.tokens] redeemer: stands beside redis; one of redis"},
        {"redis = \"run/redis.sock\"\nredis_durable = true\n", "",
         "16: [pool.tokens] redis: missing; one of redis (for all proxies) and redeemer"},
        {"redis = \"run/redis.sock\"\n", "redeemer = \"web1\"\n",
         "34: [pool.tokens] redis_durable: there is no redis; leave it out"},
        {"redis = \"run/redis.sock\"\nredis_durable = true\n", "redeemer = \"web 1\"\n",
         "33: [pool.tokens] redeemer: \"web 1\" is no name"},
    };
    Files files;
    for (const auto& mistake : mistakes) {
      CAPTURE(mistake.to);
      auto expected = mistake.message;
      const auto folder = expected.find("FOLDER");
      if (folder != std::string::npos) expected.replace(folder, 6, files.folder.path().string());
      const auto message = files.message(with(authority_toml, mistake.from, mistake.to));
      CHECK(message.substr(0, expected.size()) == expected);
    }
  }

  TEST_CASE("no message repeats what stands in a file of secrets") {
    Files files;
    const auto message = files.message(with(authority_toml, "\"secrets\"", "\"bad-secrets\""));
    CHECK(message.find("hunter2") == std::string::npos);
    CHECK(message.find(hash) == std::string::npos);
  }

  TEST_CASE("plain HTTP and open issuers are for loopback, however it is spelled") {
    Files files;
    for (const auto* host : {"127.0.0.1", "127.1.2.3", "[::1]", "localhost"}) {
      CAPTURE(host);
      CHECK(files.message(with_tokens(with(least, "127.0.0.1", host))) == "accepted");
    }
    for (const auto* host : {"0.0.0.0", "128.0.0.1", "[::]", "[::ffff:127.0.0.1]", "1270.0.0.1",
                             "localhost.example", "127.0.0.1.example"}) {
      CAPTURE(host);
      const auto message = files.message(with_tokens(with(least, "127.0.0.1", host)));
      CHECK(message.find("17: [pool.tokens] listen: ") == 0);
      const auto secured = "certificate = \"issuer.pem\"\nkey = \"issuer.key\"\n" + least;
      CHECK(
          files.message(with_tokens(with(secured, "127.0.0.1", host))).find(" attest: \"open\"") !=
          std::string::npos);
    }
  }

  TEST_CASE("two issuers do not share an address") {
    Files files;
    const auto section = "[pool.tokens]\n" + with(least, ":0", ":8443");
    const auto both = with(authority_toml.substr(0, authority_toml.find("[pool.tokens]")),
                           "[[pool]]\nname = \"web\"", section + "[[pool]]\nname = \"web\"") +
                      section;
    CHECK(files.message(both).find("22: [pool.tokens] listen: \"127.0.0.1:8443\" stands twice; ") ==
          0);
  }

  TEST_CASE("as many epochs as the keeper holds are the most that a schedule may ask for") {
    Files files;
    const auto life = [&](const std::string& issue, const std::string& redeem) {
      return files.message(with_tokens(least + "publish_ahead = \"1h\"\nissue_for = \"" + issue +
                                       "\"\nredeem_for = \"" + redeem + "\"\n"));
    };
    CHECK(life("1h", "239m") == "accepted");
    CHECK(life("1h", "4h").find("too many epochs at once") != std::string::npos);
  }

  TEST_CASE("the front is told with the files' contents") {
    Files files;
    const auto setups = keyd::issuer_setups(files.read(authority_toml).pools);
    REQUIRE(setups.size() == 1);
    const auto& setup = setups[0];
    CHECK(setup.pool == "web");
    CHECK(setup.listen == keyd::Address{"192.0.2.1", "8443"});
    CHECK(setup.key == (files.folder / "issuer.key").string());
    CHECK(setup.attest == std::vector<std::string>{"certificate", "bearer"});
    CHECK(setup.attest_ca == "x");
    REQUIRE(setup.secrets.size() == 1);
    CHECK(setup.secrets[0].name == "alice");
    CHECK(setup.secrets[0].sha256 == hash);
    CHECK(setup.budget == 50);
    CHECK(setup.budget_window == 600);
    REQUIRE(setup.redis.size() == 1);
    CHECK(setup.redis[0].port.empty());
    CHECK(setup.redis_durable);
    CHECK(setup.ristretto_type == 61445);
    CHECK(keyd::issuer_setups(files.read(with_tokens(least)).pools)[0].ristretto_type == 0);
  }

  TEST_CASE("every setting stands in docs/formats.md and in the file that ticketctl init makes") {
    Files files;
    const auto message = files.message(with(authority_toml, "budget = 50", "zzzzzzzz = 50"));
    const std::string before = "allowed are ";
    auto names = message.substr(message.find(before) + before.size()) + ", ";
    const auto formats = support::read_text(support::source_root() / "docs/formats.md");
    const auto init = support::read_text(support::source_root() / "ticketctl/config_text.cpp");
    int count = 0;
    for (std::size_t end = 0; (end = names.find(", ")) != std::string::npos; ++count) {
      const auto setting = "\n# " + names.substr(0, end) + " = ";
      names = names.substr(end + 2);
      CAPTURE(setting);
      CHECK(formats.find(setting, formats.find("[pool.tokens]")) != std::string::npos);
      CHECK(init.find(setting, init.find("# [pool.tokens]")) != std::string::npos);
    }
    CHECK(count == 19);
  }

  TEST_CASE("check-config notes what is right but should be known") {
    Files files;
    const auto notes = [&](const std::string& content) {
      std::string all;
      for (const auto& note : keyd::notes(files.read(content))) all += note + "\n";
      return all;
    };
    CHECK(notes(authority_toml) == "web: type ristretto: every redeemer could also issue\n");
    const auto open = notes(with_tokens(least));
    CHECK(open.find("web: no origins: its tokens are good at any\n") != std::string::npos);
    CHECK(open.find("web: attest \"open\": ") != std::string::npos);
    const auto doubtful = notes(with(with(with(authority_toml, "\"clients.pem\"", "\"ca.pem\""),
                                          "\"run/redis.sock\"", "\"192.0.2.9:6379\""),
                                     "redis_durable = true\n", ""));
    CHECK(doubtful.find("attest_ca is members_ca") != std::string::npos);
    CHECK(doubtful.find("redis at 192.0.2.9: nothing is encrypted") != std::string::npos);
    CHECK(doubtful.find("redis_durable is off") != std::string::npos);
  }
}
