#include "config.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <functional>

#include "fake_keyd.hpp"
#include "key_file.hpp"

using namespace test;
using keyd::AgentConfig;
using keyd::AuthorityConfig;
using keyd::ConfigError;

namespace {

const char* const authority_toml = R"([authority]
listen = ["127.0.0.1:7443", "[::1]:0"]
certificate = "keyd.pem"
key = "keyd.key"
signing_key = "authority.key"
state = "state/keyd.state"
state_key = "state.key"
admin = "keyd.sock"
log_level = "debug"

[[pool]]
name = "web"
members_ca = "ca.pem"
rotate_every = "30m"
lifetime = "10h"
publish_ahead = "2h"
lineage = "3d"
unattributed = "refuse"

[[pool.rule]]
member = "web1"
san = "DNS:web1.example.org"
)";

const char* const agent_toml = R"([agent]
servers = ["127.0.0.1:7443", "keyd.example.org:443"]
ca = "ca.pem"
authority_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
state_dir = "state"

[[pool]]
name = "web"
certificate = "member.pem"
key = "member.key"
ring = "run/web.ring"
group = "root"
)";

struct Files {
  Files() {
    for (const auto* name : {"ca.pem", "keyd.pem", "member.pem", "keyd.key", "member.key",
                             "authority.key", "state.key", "open.key"}) {
      write(folder / name, "x");
      chmod((folder / name).c_str(), 0600);
    }
    chmod((folder / "open.key").c_str(), 0644);
    std::filesystem::create_directory(folder / "folder");
  }

  std::string file(const std::string& content) {
    write(folder / "keyd.toml", content);
    return (folder / "keyd.toml").string();
  }
  Folder folder;
};

// `text` with its first `from` replaced; the test is at fault when there is none.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

struct Mistake {
  const char* from;
  const char* to;
  const char* message;  // after "FILE:"
};

template <class Read>
std::string message_of(Read read, const std::string& file) {
  try {
    read(file);
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    REQUIRE(what.find(file + ":") == 0);
    return what.substr(file.size() + 1);
  }
  return "accepted";
}

template <class Read, std::size_t N>
void check_all(const char* toml, const Mistake (&mistakes)[N], Read read) {
  Files files;
  for (const auto& mistake : mistakes) {
    CAPTURE(mistake.to);
    const auto message = message_of(read, files.file(with(toml, mistake.from, mistake.to)));
    std::string expected = mistake.message;
    const auto folder = expected.find("FOLDER");
    if (folder != std::string::npos) expected.replace(folder, 6, files.folder.path().string());
    CHECK(message.substr(0, expected.size()) == expected);
  }
}

}  // namespace

TEST_SUITE("config") {
  TEST_CASE("an authority's file is read, paths relative to its folder") {
    Files files;
    const auto config = keyd::read_authority_config(files.file(authority_toml));

    REQUIRE(config.listen.size() == 2);
    CHECK(config.listen[0].host == "127.0.0.1");
    CHECK(config.listen[0].port == "7443");
    CHECK(config.listen[1].host == "::1");
    CHECK(config.certificate == files.folder / "keyd.pem");
    CHECK(config.clients_ca.empty());
    CHECK(config.state == files.folder.path() / "state" / "keyd.state");
    CHECK(config.state_key == (files.folder / "state.key").string());
    CHECK(config.admin == files.folder / "keyd.sock");
    CHECK(config.seccomp == "kill");
    CHECK(config.log_level == "debug");
    REQUIRE(config.pools.size() == 1);
    const auto& pool = config.pools[0];
    CHECK(pool.policy ==
          ring::Policy{30min, 10h, 2h, 10h /* lifetime */, 72h, ring::Unattributed::refuse});
    REQUIRE(pool.rules.size() == 1);
    CHECK(pool.rules[0].member == "web1");
    CHECK(pool.rules[0].san == "DNS:web1.example.org");
  }

  TEST_CASE("an agent's file is read") {
    Files files;
    const auto config = keyd::read_agent_config(files.file(agent_toml));

    REQUIRE(config.servers.size() == 2);
    CHECK(config.servers[1].host == "keyd.example.org");
    CHECK(config.authority_key[31] == std::byte(31));
    CHECK(config.state_dir == files.folder / "state");
    CHECK(config.log_level == "info");
    REQUIRE(config.pools.size() == 1);
    CHECK(config.pools[0].ring == files.folder.path() / "run" / "web.ring");
    CHECK(config.pools[0].group == "root");
  }

  TEST_CASE("metrics are off and logs are text until one says otherwise") {
    Files files;
    const auto authority = keyd::read_authority_config(files.file(authority_toml));
    CHECK_FALSE(authority.metrics.has_value());
    CHECK(authority.log_format == "text");

    const std::string more = "metrics = \"[::1]:9464\"\nlog_format = \"json\"\n\n[[pool]]";
    const auto watched =
        keyd::read_authority_config(files.file(with(authority_toml, "[[pool]]", more)));
    CHECK(watched.metrics == keyd::Address{"::1", "9464"});
    CHECK(watched.log_format == "json");
    const auto agent = keyd::read_agent_config(files.file(with(agent_toml, "[[pool]]", more)));
    CHECK(agent.metrics == keyd::Address{"::1", "9464"});
    CHECK(agent.log_format == "json");
  }

  TEST_CASE("every mistake in an authority's file names line, field and what is allowed") {
    const Mistake mistakes[] = {
        {"[authority]", "[autority]",
         "1: autority: unknown; did you mean authority? allowed are authority, pool"},
        {"\"refuse\"", "\"maybe\"",
         "18: [[pool]] unattributed: \"maybe\" is neither; \"accept\" or \"refuse\""},
        {"listen = ", "lisden = ",
         "2: [authority] lisden: unknown; did you mean listen? allowed are listen, certificate,"},
        {"log_level = \"debug\"", "colour = \"red\"",
         "9: [authority] colour: unknown; allowed are listen,"},
        {"listen = [\"127.0.0.1:7443\", \"[::1]:0\"]\n", "",
         "1: [authority] listen: missing; a list of"},
        {"[\"127.0.0.1:7443\", \"[::1]:0\"]", "\"127.0.0.1:7443\"",
         "2: [authority] listen: a text, not a list; a list of"},
        {"[\"127.0.0.1:7443\", \"[::1]:0\"]", "[]", "2: [authority] listen: empty; a list of"},
        {"\"[::1]:0\"", "7443", "2: [authority] listen: holds something else than texts"},
        {"\"127.0.0.1:7443\", ", "\n\"127.0.0.1\", ",
         "3: [authority] listen: \"127.0.0.1\" is no address; write \"HOST:PORT\""},
        {"127.0.0.1:7443", "127.0.0.1:65536",
         "2: [authority] listen: \"127.0.0.1:65536\" is no address"},
        {"127.0.0.1:7443", ":7443", "2: [authority] listen: \":7443\" is no address"},
        {"[::1]:0", "::1:0", "2: [authority] listen: \"::1:0\" is no address"},
        {"\"keyd.pem\"", "\"none.pem\"",
         "3: [authority] certificate: no such file: FOLDER/none.pem; the PEM of keyd's"},
        {"\"keyd.pem\"", "\"folder\"", "3: [authority] certificate: not a file: FOLDER/folder;"},
        {"\"keyd.pem\"", "\"\"", "3: [authority] certificate: empty; the PEM"},
        {"\"keyd.pem\"", "3", "3: [authority] certificate: a number, not a text"},
        {"\"keyd.key\"", "\"open.key\"",
         "4: [authority] key: FOLDER/open.key: other users can read or change it; type: chmod "
         "0600 "},
        {"\"authority.key\"", "\"open.key\"",
         "5: [authority] signing_key: FOLDER/open.key: other users"},
        {"\"state.key\"", "\"open.key\"", "7: [authority] state_key: FOLDER/open.key: other users"},
        {"\"state.key\"", "\"passphrase:none\"",
         "7: [authority] state_key: no such file: FOLDER/none; a file, \"credential:NAME\""},
        {"\"state.key\"", "\"credential:\"",
         "7: [authority] state_key: \"credential:\" names no credential;"},
        {"\"debug\"", "\"loud\"",
         "9: [authority] log_level: \"loud\" is unknown; one of error warning info debug"},
        {"log_level = \"debug\"", "log_format = \"xml\"",
         "9: [authority] log_format: \"xml\" is unknown; one of text json"},
        {"log_level = \"debug\"", "metrics = \"9464\"",
         "9: [authority] metrics: \"9464\" is no address; write \"HOST:PORT\""},
        {"log_level = \"debug\"", "metrics = [\"127.0.0.1:9464\"]",
         "9: [authority] metrics: a list, not a text"},
        {"log_level = \"debug\"", "seccomp = \"on\"",
         "9: [authority] seccomp: \"on\" is unknown; one of kill errno off"},
        {"log_level = \"debug\"", "admin_users = [\"nobody-of-that-name\"]",
         "9: [authority] admin_users: no such user: nobody-of-that-name;"},
        {"log_level = \"debug\"", "clients_ca = \"none.pem\"",
         "9: [authority] clients_ca: no such file"},
        {"[[pool]]", "[pool]", "11: pool: a table, not a list; write [[pool]], once for each"},
        {"name = \"web\"\n", "", "11: [[pool]] name: missing; 1 to 63 characters"},
        {"\"web\"", "\"../web\"", "12: [[pool]] name: \"../web\" is no name; 1 to 63 characters"},
        {"\"web\"", "\"web/../x\"", "12: [[pool]] name: \"web/../x\" is no name"},
        {"\"web\"",
         "\"w\xc3\xa9"
         "b\"",
         "12: [[pool]] name: \"w\xc3\xa9"
         "b\" is no name"},
        {"\"ca.pem\"", "\"none.pem\"", "13: [[pool]] members_ca: no such file: FOLDER/none.pem"},
        {"\"30m\"", "\"30\"",
         "14: [[pool]] rotate_every: \"30\" is no duration; a whole number and s, m, h or d"},
        {"\"30m\"", "\"30 m\"", "14: [[pool]] rotate_every: \"30 m\" is no duration"},
        {"\"30m\"", "\"2w\"", "14: [[pool]] rotate_every: \"2w\" is no duration"},
        {"\"30m\"", "\"-1h\"", "14: [[pool]] rotate_every: \"-1h\" is no duration"},
        {"\"30m\"", "1800",
         "14: [[pool]] rotate_every: a number, not a text; a whole "
         "number"},
        {"\"30m\"", "\"0s\"", "14: [[pool]] rotate_every: impossible policy; rotate_every"},
        {"\"30m\"", "\"1s\"",
         "14: [[pool]] rotate_every: impossible policy; (publish_ahead + lifetime) / rotate_every "
         "+ 3"},
        {"\"10h\"", "\"8d\"", "15: [[pool]] lifetime: impossible policy; lifetime"},
        {"\"2h\"", "\"20m\"", "16: [[pool]] publish_ahead: impossible policy; publish_ahead"},
        {"\"web1\"", "\"web 1\"", "21: [[pool.rule]] member: \"web 1\" is no name"},
        {"san = \"DNS:web1.example.org\"", "",
         "21: [[pool.rule]] member: 0 criteria; exactly one of"},
        {"san = ", "subject = \"CN=a\"\nsan = ",
         "21: [[pool.rule]] member: 2 criteria; exactly one of"},
        {"san = \"DNS:web1.example.org\"", "fingerprint = \"sha256:12\"",
         "22: [[pool.rule]] fingerprint: \"sha256:12\" is none; \"sha256:\" and 64"},
        {"\"DNS:web1.example.org\"", "\"web1.example.org\"",
         "22: [[pool.rule]] san: \"web1.example.org\" is none;"},
        {"san = ", "sann = ", "22: [[pool.rule]] sann: unknown; did you mean san?"},
        {"[[pool]]", "[[pool]]\nname = \"web\"\nmembers_ca = \"ca.pem\"\n[[pool]]",
         "15: [[pool]] name: \"web\" stands twice; each pool has its own"},
        {"[[pool.rule]]",
         "[[pool.rule]]\nmember = \"b\"\nsan = \"DNS:web1.example.org\"\n[[pool.rule]]",
         "23: [[pool]] rule: DNS:web1.example.org stands twice"},
        {"\"30m\"", "30m", "14: no TOML: "},
        {"[authority]", "[authority", "1: no TOML: "},
    };
    check_all(authority_toml, mistakes, keyd::read_authority_config);
  }

  TEST_CASE("promise 15: keyd writes over no file that has another use") {
    const Mistake mistakes[] = {
        {"log_level = \"debug\"", "audit = \"state/keyd.state\"",
         "9: [authority] audit: FOLDER/state/keyd.state is taken by state; keyd writes there: "
         "name a file"},
        {"log_level = \"debug\"", "audit = \"./state/../state/keyd.state\"",
         "9: [authority] audit: FOLDER/state/keyd.state is taken by state;"},
        {"log_level = \"debug\"", "audit = \"state/keyd.state.lock\"",
         "9: [authority] audit: FOLDER/state/keyd.state.lock is taken by state for its lock;"},
        {"log_level = \"debug\"", "audit = \"state/keyd.state.new\"",
         "9: [authority] audit: FOLDER/state/keyd.state.new is taken by state for its next copy;"},
        {"log_level = \"debug\"", "audit = \"authority.key\"",
         "9: [authority] audit: FOLDER/authority.key is taken by signing_key;"},
        {"log_level = \"debug\"", "audit = \"state.key\"",
         "9: [authority] audit: FOLDER/state.key is taken by state_key;"},
        {"\"state.key\"", "\"passphrase:state.key\"\naudit = \"state.key\"",
         "8: [authority] audit: FOLDER/state.key is taken by state_key;"},
        {"log_level = \"debug\"", "audit = \"keyd.key\"",
         "9: [authority] audit: FOLDER/keyd.key is taken by key;"},
        {"log_level = \"debug\"", "audit = \"keyd.pem\"",
         "9: [authority] audit: FOLDER/keyd.pem is taken by certificate;"},
        {"log_level = \"debug\"", "clients_ca = \"member.pem\"\naudit = \"member.pem\"",
         "10: [authority] audit: FOLDER/member.pem is taken by clients_ca;"},
        {"log_level = \"debug\"", "audit = \"ca.pem\"",
         "9: [authority] audit: FOLDER/ca.pem is taken by members_ca of the pool web;"},
        {"log_level = \"debug\"", "audit = \"keyd.toml\"",
         "9: [authority] audit: FOLDER/keyd.toml is taken by this configuration;"},
        {"log_level = \"debug\"", "audit = \"keyd.sock\"",
         "8: [authority] admin: FOLDER/keyd.sock is taken by audit;"},
        {"\"keyd.sock\"", "\"state/keyd.state\"",
         "8: [authority] admin: FOLDER/state/keyd.state is taken by state;"},
        {"\"state/keyd.state\"", "\"authority.key\"",
         "6: [authority] state: FOLDER/authority.key is taken by signing_key;"},
        {"\"state/keyd.state\"", "\"state/audit.log\"",
         "1: [authority] audit: FOLDER/state/audit.log is taken by state;"},
    };
    check_all(authority_toml, mistakes, keyd::read_authority_config);
  }

  TEST_CASE("promise 15: nor under another name, whether it is there yet or not") {
    Files files;
    std::filesystem::create_symlink(files.folder / "state.key", files.folder / "linked");
    std::filesystem::create_hard_link(files.folder / "state.key", files.folder / "again");
    std::filesystem::create_directory(files.folder / "state");
    std::filesystem::create_directory_symlink(files.folder / "state", files.folder / "other");
    const auto audit = [&](const std::string& path) {
      const auto toml = with(authority_toml, "log_level = \"debug\"", "audit = \"" + path + "\"");
      return message_of(keyd::read_authority_config, files.file(toml));
    };
    CHECK(audit("linked").find("linked is taken by state_key;") != std::string::npos);
    CHECK(audit("again").find("again is taken by state_key;") != std::string::npos);
    CHECK(audit("other/keyd.state").find("keyd.state is taken by state;") != std::string::npos);
    CHECK(audit("other/audit.log") == "accepted");
  }

  TEST_CASE("files that keyd only reads may be one") {
    Files files;
    const auto both = with(authority_toml, "\"keyd.pem\"", "\"keyd.key\"");
    const auto config = keyd::read_authority_config(
        files.file(with(both, "log_level = \"debug\"", "clients_ca = \"ca.pem\"")));
    CHECK(config.certificate == config.key);
    CHECK(config.clients_ca == config.pools.at(0).members_ca);
  }

  TEST_CASE("every mistake in an agent's file names line, field and what is allowed") {
    const Mistake mistakes[] = {
        {"[agent]", "[authority]", "1: authority: unknown;"},
        {"servers = ", "server = ",
         "2: [agent] server: unknown; did you mean servers? allowed are servers, ca,"},
        {"keyd.example.org:443", "keyd.example.org:0",
         "2: [agent] servers: port 0; a port from 1 to 65535"},
        {"keyd.example.org:443", "keyd.example.org",
         "2: [agent] servers: \"keyd.example.org\" is no address"},
        {"\"ca.pem\"", "\"none.pem\"",
         "3: [agent] ca: no such file: FOLDER/none.pem; the PEM of the CA that vouches for keyd"},
        {"\"AAEC", "\"AAE",
         "4: [agent] authority_key: not a key; the 43 characters of authority.pub"},
        {"state_dir = \"state\"\n", "", "1: [agent] state_dir: missing; a folder"},
        {"\"member.pem\"", "\"none.pem\"", "9: [[pool]] certificate: no such file"},
        {"\"member.key\"", "\"open.key\"",
         "10: [[pool]] key: FOLDER/open.key: other users can read or change it; type: chmod 0600 "},
        {"ring = \"run/web.ring\"\n", "", "7: [[pool]] ring: missing; the path of the ring file"},
        {"web.ring", "web.counters", "11: [[pool]] ring: ends in .counters;"},
        {"\"root\"", "\"nobody-of-that-name\"",
         "12: [[pool]] group: no such group: nobody-of-that-name; a group"},
        {"[[pool]]",
         "[[pool]]\nname = \"web\"\ncertificate = \"member.pem\"\nkey = \"member.key\"\nring = "
         "\"b.ring\"\n[[pool]]",
         "13: [[pool]] name: \"web\" stands twice"},
        {"[[pool]]",
         "[[pool]]\nname = \"mail\"\ncertificate = \"member.pem\"\nkey = \"member.key\"\nring = "
         "\"run/web.x\"\n[[pool]]",
         "16: [[pool]] ring: \"FOLDER/run/web.ring\" stands twice"},
    };
    check_all(agent_toml, mistakes, keyd::read_agent_config);
  }

  TEST_CASE("a file without its sections, and none at all") {
    Files files;
    CHECK(message_of(keyd::read_agent_config, files.file("")).find("1: [agent]: missing;") == 0);
    CHECK(
        message_of(keyd::read_authority_config, files.file("")).find("1: [authority]: missing;") ==
        0);
    const auto without_pool =
        std::string(agent_toml).substr(0, std::string(agent_toml).find("[[pool]]"));
    CHECK(message_of(keyd::read_agent_config, files.file(without_pool)) ==
          "1: [[pool]]: missing; write [[pool]], once for each");
    CHECK(message_of(keyd::read_agent_config, (files.folder / "none.toml").string()) ==
          "1: no such file; --config names a file of keyd");
  }

  TEST_CASE("the state key may be a credential or a passphrase's file") {
    Files files;
    const auto read = [&](const char* key) {
      return keyd::read_authority_config(files.file(with(authority_toml, "\"state.key\"", key)));
    };
    CHECK(read("\"credential:state\"").state_key == "credential:state");
    CHECK(read("\"passphrase:keyd.key\"").state_key ==
          "passphrase:" + (files.folder / "keyd.key").string());
  }

  TEST_CASE("a file's kind is known by its section") {
    Files files;
    CHECK(keyd::detect(files.file(authority_toml)) == keyd::ConfigKind::authority);
    CHECK(keyd::detect(files.file(agent_toml)) == keyd::ConfigKind::agent);
    CHECK(message_of(keyd::detect, files.file("[authority]\n[agent]\n")) ==
          "2: agent: stands beside [authority]; a file has one of [authority] and [agent]");
    CHECK(message_of(keyd::detect, files.file("")) ==
          "1: [authority]: missing, and so is [agent]; a file has one of [authority] and [agent]");
  }
}
