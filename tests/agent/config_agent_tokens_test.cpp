#include <doctest/doctest.h>
#include <sys/stat.h>

#include <functional>

#include "config.hpp"
#include "fake_keyd.hpp"
#include "ring/ring_file.hpp"
#include "support/rings.hpp"
#include "wire/token_block.hpp"

using namespace test;
using namespace std::chrono_literals;

namespace {

const char* const agent_toml = R"([agent]
servers = ["127.0.0.1:7443"]
ca = "ca.pem"
authority_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
state_dir = "state"

[[pool]]
name = "web"
certificate = "ca.pem"
key = "member.key"
ring = "run/web.ring"

[[tokens]]
pool = "web"
redis = "redis.example:6379"
)";

struct Files {
  Files() {
    write(folder / "ca.pem", "x");
    write(folder / "member.key", "x");
    chmod((folder / "member.key").c_str(), 0600);
    write(folder / "file", "x");
    std::filesystem::create_directory(folder / "run");
  }
  std::string file(const std::string& more) const {
    write(folder / "agent.toml", agent_toml + more);
    return folder / "agent.toml";
  }
  keyd::AgentTokens read(const std::string& more) const {
    return keyd::read_agent_config(file(more)).tokens.at(0);
  }
  Folder folder;
};

std::string message(const Files& files, const std::string& more) {
  const auto file = files.file(more);
  try {
    keyd::read_agent_config(file);
  } catch (const keyd::ConfigError& error) {
    return std::string(error.what()).substr(file.size() + 1);
  }
  return "accepted";
}

// A ring of member 1 whose pool has tokens, at the path that the configuration names.
void write_ring(const Files& files, ticket::wire::TokenRecord record, std::uint16_t redeemer) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  auto ring = ticket::test::ring_of(ticket::test::hourly(1, 1, now));
  ticket::wire::TokenBlock block;
  block.issuer = "issuer.test";
  block.record = record;
  block.redeemer = redeemer;
  ring.tokens = ticket::wire::write_token_block(block);
  std::filesystem::remove(files.folder / "run/web.ring");
  ticket::ring::RingWriter writer(files.folder / "run/web.ring", "web");
  REQUIRE(writer.publish(ring, ticket::Moment(now)).has_value());
}

std::string notes(const Files& files, const std::string& more) {
  std::string all;
  const auto config = keyd::read_agent_config(files.file(more));
  for (const auto& note : keyd::notes(config, ticket::SystemClock().now())) all += note + "\n";
  return all;
}

}  // namespace

TEST_SUITE("config of tokens") {
  TEST_CASE("what is not said stands beside the ring, and no listener is opened") {
    const Files files;
    const auto tokens = files.read("");

    CHECK(tokens.pool == "web");
    CHECK(tokens.tables == files.folder / "run/web.spent");
    CHECK(tokens.claims == files.folder / "run/web.claims");
    REQUIRE(tokens.redis.has_value());
    CHECK(tokens.redis->text() == "redis.example:6379");
    CHECK(tokens.redis_timeout == 50ms);
    CHECK_FALSE(tokens.redis_durable);
    CHECK_FALSE(tokens.spop.has_value());
    CHECK_FALSE(tokens.http.has_value());
  }

  TEST_CASE("every setting is read") {
    const Files files;
    const auto tokens = files.read(
        "tables = \"/dev/shm/t\"\nclaims = \"c.sock\"\nredis_timeout = \"1s\"\n"
        "redis_durable = true\nspop = \"[::1]:9001\"\nhttp = \"run/redeem.sock\"\n");

    CHECK(tokens.tables == "/dev/shm/t");
    CHECK(tokens.claims == files.folder / "c.sock");
    CHECK(tokens.redis_timeout == 1000ms);
    CHECK(tokens.redis_durable);
    CHECK(tokens.spop->text() == "[::1]:9001");
    CHECK(tokens.http->path == files.folder / "run/redeem.sock");
  }

  TEST_CASE("what is wrong is told with its line, its field and the way out") {
    const Files files;
    const struct {
      const char* more;
      const char* told;
    } cases[] = {
        {"pools = 1\n", "16: [[tokens]] pools: unknown; did you mean pool?"},
        {"[[tokens]]\npool = \"db\"\n", "17: [[tokens]] pool: \"db\" is no pool of this file"},
        {"[[tokens]]\npool = \"web\"\n", "17: [[tokens]] pool: pool web stands twice"},
        {"tables = \"file\"\n", "16: [[tokens]] tables: not a folder: "},
        {"tables = \"run/web.ring\"\n", "16: [[tokens]] tables: "},
        {"claims = \"file\"\n", "16: [[tokens]] claims: not a socket: "},
        {"claims = \"run/web.spent\"\n", "16: [[tokens]] claims: "},
        {"redis_timeout = \"50\"\n", "16: [[tokens]] redis_timeout: \"50\" is none; milliseconds"},
        {"redis_timeout = \"0ms\"\n", "16: [[tokens]] redis_timeout: \"0ms\" is none"},
        {"redis_timeout = \"11s\"\n", "16: [[tokens]] redis_timeout: \"11s\" is none"},
        {"redis_timeout = \"9999999999s\"\n", "16: [[tokens]] redis_timeout: "},
        {"redis_timeout = \"-5ms\"\n", "16: [[tokens]] redis_timeout: "},
        {"redis_durable = \"yes\"\n",
         "16: [[tokens]] redis_durable: a text, not a truth value; true or false"},
        {"spop = \"0.0.0.0:9001\"\n", "16: [[tokens]] spop: \"0.0.0.0:9001\" is not of this host"},
        {"http = \"example.org:80\"\n",
         "16: [[tokens]] http: \"example.org:80\" is not of this host"},
        {"http = \"9002\"\n",
         "16: [[tokens]] http: \"9002\" is neither; the path of a Unix socket"},
        {"spop = \"127.0.0.1:9\"\nhttp = \"127.0.0.1:9\"\n",
         "17: [[tokens]] http: 127.0.0.1:9 stands twice"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.more);
      const auto told = message(files, c.more);
      CAPTURE(told);
      CHECK(told.starts_with(c.told));
    }
  }

  TEST_CASE("promise 15: a socket takes no other's place, under whatever name") {
    const Files files;
    std::filesystem::create_directory_symlink(files.folder / "run", files.folder / "other");
    const auto told = message(files, "spop = \"other/web.claims\"\n");
    CAPTURE(told);
    CHECK(told.starts_with("16: [[tokens]] spop: "));
    CHECK(told.find("is taken by claims of [[tokens]] in line 13;") != std::string::npos);
    CHECK(message(files, "http = \"other/redeem.sock\"\n") == "accepted");
  }

  TEST_CASE("settings of Redis without Redis are a mistake") {
    const Files files;
    std::string text = agent_toml;
    text.replace(text.find("redis ="), std::string::npos, "redis_durable = true\n");
    write(files.folder / "agent.toml", text);
    CHECK_THROWS_WITH_AS(keyd::read_agent_config(files.folder / "agent.toml"),
                         doctest::Contains("15: [[tokens]] redis_durable: stands without redis"),
                         keyd::ConfigError);
  }

  TEST_CASE("check-config notes where a section does not fit its pool") {
    const Files files;
    using ticket::wire::TokenRecord;
    CHECK(notes(files, "").find("may have forgotten what was spent last") != std::string::npos);
    CHECK(notes(files, "redis_durable = true\n").empty());

    write_ring(files, TokenRecord::table, 1);
    CHECK(notes(files, "redis_durable = true\n").find("redis is not used") != std::string::npos);
    write_ring(files, TokenRecord::table, 2);
    CHECK(notes(files, "redis_durable = true\n").find("by member 2 alone, this host is member 1") !=
          std::string::npos);
    write_ring(files, TokenRecord::redis, 0);
    CHECK(notes(files, "redis_durable = true\n").empty());
    std::string text = agent_toml;
    text.erase(text.find("redis ="));
    write(files.folder / "agent.toml", text);
    const auto config = keyd::read_agent_config(files.folder / "agent.toml");
    const auto noted = keyd::notes(config, ticket::SystemClock().now());
    REQUIRE(noted.size() == 1);
    CHECK(noted[0].find("no redis is named here") != std::string::npos);
  }
}
