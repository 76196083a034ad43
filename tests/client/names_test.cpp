// Host names, servers, the manifest, TXT records.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "client/key_table.hpp"
#include "client/manifest.hpp"
#include "client/pool_map.hpp"
#include "client/pool_txt.hpp"

using namespace ticket::client;
using namespace std::chrono_literals;
using ticket::sys_seconds;

namespace {

const sys_seconds noon{ticket::seconds(1'790'000'000)};

std::string manifest(const std::string& pools) {
  return R"({"version": 1, "expires": 1790086400, "pools": )" + pools + "}";
}

std::string record(const std::string& text) {
  return std::string(1, static_cast<char>(text.size())) + text;
}

}  // namespace

TEST_SUITE("client: names") {
  TEST_CASE("host names are compared in lower case, without a dot at the end") {
    const std::string label63(63, 'a'), label64(64, 'a');
    const struct {
      std::string text;
      const char* name;  // nullptr = is none
    } cases[] = {
        {"a.example", "a.example"},
        {"A.Example.", "a.example"},
        {"localhost", "localhost"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"_a.example", "_a.example"},
        {"1.example", "1.example"},
        {label63 + ".example", ""},
        {label64 + ".example", nullptr},
        {"", nullptr},
        {".", nullptr},
        {"a..example", nullptr},
        {".example", nullptr},
        {"a.example..", nullptr},
        {"-a.example", nullptr},
        {"a-.example", nullptr},
        {"*.example", nullptr},
        {"a b.example", nullptr},
        {"b\xc3\xbc"
         "cher.example",
         nullptr},
        {std::string("a\0.example", 10), nullptr},
        {"192.0.2.1", nullptr},
        {"192.0.2.256", nullptr},
        {std::string(251, 'a')
                 .replace(60, 1, ".")
                 .replace(120, 1, ".")
                 .replace(180, 1, ".")
                 .replace(240, 1, ".") +
             ".a",
         ""},
        {std::string(252, 'a')
                 .replace(60, 1, ".")
                 .replace(120, 1, ".")
                 .replace(180, 1, ".")
                 .replace(240, 1, ".") +
             ".a",
         nullptr},
    };
    for (const auto& one : cases) {
      CAPTURE(one.text);
      const auto name = normal_host_name(one.text);
      CHECK(name.has_value() == (one.name != nullptr));
      if (name && one.name[0] != '\0') CHECK(*name == one.name);
    }
  }

  TEST_CASE("servers are HOST:PORT, an IPv6 address in brackets") {
    const struct {
      const char *text, *server;
      bool address;
    } cases[] = {
        {"A.example:443", "a.example:443", false},
        {"192.0.2.1:8443", "192.0.2.1:8443", true},
        {"[2001:DB8:0::1]:443", "[2001:db8::1]:443", true},
        {"a.example:65535", "a.example:65535", false},
        {"a.example:0", nullptr, false},
        {"a.example:65536", nullptr, false},
        {"a.example:", nullptr, false},
        {"a.example:+1", nullptr, false},
        {"a.example: 1", nullptr, false},
        {"a.example", nullptr, false},
        {":443", nullptr, false},
        {"2001:db8::1:443", nullptr, false},
        {"[192.0.2.1]:443", nullptr, false},
        {"[a.example]:443", nullptr, false},
        {"[fe80::1%eth0]:443", nullptr, false},
        {"", nullptr, false},
    };
    for (const auto& one : cases) {
      CAPTURE(one.text);
      const auto server = Server::parse(one.text);
      REQUIRE(server.has_value() == (one.server != nullptr));
      if (!server) continue;
      CHECK(server->text() == one.server);
      CHECK(server->is_address() == one.address);
      CHECK(Server::parse(server->text()) == server);
    }
    CHECK(Server::from("2001:db8::1", 443)->host() == "2001:db8::1");
    CHECK_FALSE(Server::from("a.example", 0));
  }
}

TEST_SUITE("client: key table") {
  TEST_CASE("what is in it is found, and what was taken out is not, in any order") {
    KeyTable table;
    std::map<std::uint32_t, NameKey> kept;
    std::mt19937 random(1);
    for (std::uint32_t i = 0; i < 20'000; ++i) {
      // of few places, so that many meet
      const NameKey name{random(), random() % 64};
      if (table.add(name, i)) kept.emplace(i, name);
      if (random() % 64 < kept.size()) {
        const auto one = std::next(kept.begin(), static_cast<long>(random() % kept.size()));
        table.remove(one->second);
        table.remove(one->second);
        CHECK_FALSE(table.find(one->second));
        kept.erase(one);
      }
      REQUIRE(table.size() == kept.size());
      for (const auto& [value, key] : kept) REQUIRE(table.find(key) == value);
    }
  }

  TEST_CASE("a name's key is its own, also beside another's") {
    CHECK(key_of("a.test") == key_of(std::string("a.test")));
    CHECK(key_of("a.test") != key_of("b.test"));
    CHECK(joined(key_of("a"), key_of("b")) != joined(key_of("b"), key_of("a")));
    CHECK(joined(key_of("a"), key_of("bc")) != joined(key_of("ab"), key_of("c")));
    CHECK(Server::parse("a.test:1")->key() != Server::parse("a.test:2")->key());
    CHECK(Server::parse("a.test:1")->host_key() == Server::parse("A.test.:2")->host_key());
  }
}

TEST_SUITE("client: manifest") {
  TEST_CASE("names hold on every port, servers on their own") {
    const auto parsed = parse_client_manifest(
        manifest(R"([{"id": "web", "names": ["A.example."], "servers": ["b.example:8443"]},
                     {"id": "api", "servers": ["b.example:443", "[::1]:443"]}])"));
    REQUIRE(parsed);
    const PoolMap map(*parsed);
    const auto pool = [&](const char* server, sys_seconds now = noon) {
      const auto* found = map.find(*Server::parse(server), now);
      return found == nullptr ? "" : found->text();
    };

    CHECK(pool("a.example:443") == "manifest:web");
    CHECK(pool("a.example:1") == "manifest:web");
    CHECK(pool("b.example:8443") == "manifest:web");
    CHECK(pool("b.example:443") == "manifest:api");
    CHECK(pool("[::1]:443") == "manifest:api");
    CHECK(pool("b.example:444") == "");
    CHECK(pool("c.example:443") == "");
    CHECK(pool("a.example:443", parsed->expires - 1s) == "manifest:web");
    CHECK(pool("a.example:443", parsed->expires) == "");
  }

  TEST_CASE("what is written parses to itself") {
    const auto parsed = parse_client_manifest(
        manifest(R"([{"id": "web", "names": ["a.example"], "servers": ["b.example:8443"]}])"));
    REQUIRE(parsed);
    const auto text = write_client_manifest(*parsed);
    CHECK(write_client_manifest(*parse_client_manifest(text)) == text);
  }

  TEST_CASE("fields that nobody knows are for later") {
    CHECK(parse_client_manifest(
        R"({"version": 1, "expires": 5, "pools": [{"id": "a", "names": ["a"], "x": [1]}], "y": 2})"));
    CHECK(parse_client_manifest(R"({"version": 1, "expires": 5, "pools": []})"));
  }

  TEST_CASE("a bad manifest is told with its line, or its pool and field") {
    const struct {
      std::string text, why;
    } cases[] = {
        {"", "line 1, column 1: not JSON"},
        {"{\n  \"version\": 1,\n  oops", "line 3, column 3: not JSON"},
        {"{\"version\": 1, \"x\": \"\xff\"}", "line 1, column 22: not JSON"},
        {"4e414", "a number that is too large"},
        {"{\"version\": 1e999}", "a number that is too large"},
        {"[]", "not an object"},
        {"{}", "\"version\" is missing"},
        {R"({"version": 2})", "\"version\" must be 1"},
        {R"({"version": 1, "version": 1})", "\"version\" stands twice"},
        {R"({"version": 1})", "\"expires\" is missing"},
        {R"({"version": 1, "expires": -1, "pools": []})", "\"expires\" must be"},
        {R"({"version": 1, "expires": 1e99, "pools": []})", "\"expires\" must be"},
        {R"({"version": 1, "expires": 5})", "\"pools\" is missing"},
        {R"({"version": 1, "expires": 5, "pools": {}})", "\"pools\" must be an array"},
        {manifest("[5]"), "pools[0]: not an object"},
        {manifest("[{}]"), "pools[0]: \"id\" is missing"},
        {manifest(R"([{"id": ""}])"), "pools[0]: \"id\" must be"},
        {manifest(R"([{"id": "a b"}])"), "pools[0]: \"id\" must be"},
        {manifest(R"([{"id": ")" + std::string(256, 'x') + R"("}])"), "pools[0]: \"id\" must be"},
        {manifest(R"([{"id": "web"}])"), "pool \"web\": needs \"names\" or \"servers\""},
        {manifest(R"([{"id": "web", "names": "a"}])"), "pool \"web\": \"names\" must be an array"},
        {manifest(R"([{"id": "web", "names": ["a", 5]}])"), "pool \"web\": names[1]: not a string"},
        {manifest(R"([{"id": "web", "names": ["a:443"]}])"),
         "pool \"web\": names[0]: \"a:443\" is no host"},
        {manifest(R"([{"id": "web", "servers": ["a"]}])"),
         "pool \"web\": servers[0]: \"a\" is no HOST:PORT"},
        {manifest(R"([{"id": "web", "names": ["a", "A."]}])"),
         "pool \"web\": \"a\" is listed twice"},
        {manifest(R"([{"id": "web", "names": ["a"]}, {"id": "web", "names": ["b"]}])"),
         "pool \"web\" stands twice"},
        {manifest(R"([{"id": "web", "names": ["a"]}, {"id": "api", "names": ["a"]}])"),
         "pool \"api\": \"a\" is in pool \"web\" too"},
        {manifest(R"([{"id": "web", "servers": ["a:1"]}, {"id": "api", "servers": ["a:1"]}])"),
         "pool \"api\": \"a:1\" is in pool \"web\" too"},
        {manifest(R"([{"id": "web", "servers": ["a:1"]}, {"id": "api", "names": ["a"]}])"),
         "pool \"web\": \"a\" is in pool \"api\" too"},
        {manifest(R"([{"id": "web", "names": ["\u001b[2J"]}])"), "names[0]: \"?[2J\" is no host"},
        {std::string(20, '['), "nested deeper"},
        {std::string((16 << 20) + 1, ' '), "larger than 16 MiB"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.why);
      const auto parsed = parse_client_manifest(one.text);
      REQUIRE_FALSE(parsed);
      CAPTURE(parsed.error());
      CHECK(parsed.error().find(one.why) != std::string::npos);
    }
  }

  TEST_CASE("a manifest has limits") {
    std::string pools = "[";
    for (int i = 0; i <= 10'000; ++i) {
      pools += (i == 0 ? "" : ",") + (R"({"id": ")" + std::to_string(i) + R"(", "names": ["a)") +
               std::to_string(i) + "\"]}";
    }
    const auto parsed = parse_client_manifest(manifest(pools + "]"));
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() == "more than 10000 pools");
    const auto deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
    CHECK_FALSE(parse_client_manifest(deep));
  }

  TEST_CASE("no beginning of a manifest is one") {
    const auto text = manifest(R"([{"id": "web", "names": ["a.example"]}])");
    for (std::size_t size = 0; size < text.size(); ++size) {
      CHECK_FALSE(parse_client_manifest(text.substr(0, size)));
    }
  }
}

TEST_SUITE("client: TXT") {
  TEST_CASE("one record names the pool") {
    const struct {
      const char *text, *id;  // nullptr = says nothing
    } cases[] = {
        {"v=1 pool=web", "web"},
        {"v=1 pool=web.example:8443", "web.example:8443"},
        {"v=1 ttl=5 pool=web later=", "web"},
        {"v=2 pool=web", nullptr},
        {"pool=web v=1", nullptr},
        {"v=1", nullptr},
        {"v=1 pool=", nullptr},
        {"v=1  pool=web", nullptr},
        {"v=1 pool=web ", nullptr},
        {" v=1 pool=web", nullptr},
        {"v=1 pool=web pool=api", nullptr},
        {"v=1 pool=w\x01", nullptr},
        {"v=1 pool=web more", nullptr},
        {"v=1 =x pool=web", nullptr},
        {"v=spf1 -all", nullptr},
        {"", nullptr},
    };
    for (const auto& one : cases) {
      CAPTURE(one.text);
      const auto id = parse_pool_txt(one.text);
      REQUIRE(id.has_value() == (one.id != nullptr));
      if (id) CHECK(*id == one.id);
    }
    CHECK_FALSE(parse_pool_txt("v=1 pool=" + std::string(256, 'x')));
    CHECK(parse_pool_txt("v=1 pool=" + std::string(255, 'x')));
  }

  TEST_CASE("a record's strings are joined; what is cut short says nothing") {
    const auto whole = record("v=1 po") + record("ol=web");
    CHECK(txt_text(whole) == "v=1 pool=web");
    for (std::size_t size = 1; size < whole.size(); ++size) {
      if (size == 7) continue;  // its first string alone
      CHECK_FALSE(txt_text(whole.substr(0, size)));
    }
  }

  TEST_CASE("several valid records contradict each other; the rest is ignored and counted") {
    const auto web = record("v=1 pool=web"), api = record("v=1 pool=api"), spf = record("v=spf1");
    CHECK(read_pool_records({web}).id == "web");
    CHECK(read_pool_records({web, spf}).id == "web");
    CHECK(read_pool_records({web, spf}).ignored == 1);
    CHECK_FALSE(read_pool_records({web, api}).id);
    CHECK(read_pool_records({web, api}).ignored == 2);
    CHECK_FALSE(read_pool_records({web, web}).id);
    CHECK_FALSE(read_pool_records({}).id);
    CHECK(read_pool_records({}).ignored == 0);
  }
}
