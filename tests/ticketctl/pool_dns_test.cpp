#include "pool_dns.hpp"

#include <doctest/doctest.h>

#include "client/pool_txt.hpp"
#include "command.hpp"

using namespace ticketctl;
using ticket::client::ClientManifest;
using ticket::client::PoolEntry;
using ticket::client::Server;

namespace {

ClientManifest only(PoolEntry pool) {
  ClientManifest manifest;
  manifest.pools.push_back(std::move(pool));
  return manifest;
}

PoolEntry pool_of(std::vector<std::string> names, const std::vector<std::string>& servers = {}) {
  PoolEntry pool;
  pool.id = "web";
  pool.names = std::move(names);
  for (const auto& server : servers) pool.servers.push_back(Server::parse(server).value());
  return pool;
}

}  // namespace

TEST_SUITE("pool dns") {
  TEST_CASE("every host name has one record, and what DNS cannot say is told") {
    const auto found =
        records_of(only(pool_of({"a.example", std::string(244, 'x')},
                                {"a.example:443", "b.example:8443", "192.0.2.1:443"})),
                   "web");
    REQUIRE(found.records.size() == 2);
    CHECK(found.records[0].name == "_tls-pool.a.example");
    CHECK(found.records[0].text == "v=1 pool=web");
    CHECK(found.records[1].name == "_tls-pool.b.example");
    CHECK(found.left_out.size() == 4);
    CHECK(found.left_out.back() == "192.0.2.1:443: an address has no record of its own");
  }

  TEST_CASE("a host that two pools have on different ports gets no record from either") {
    auto manifest = only(pool_of({"a.example"}, {"c.example:443"}));
    manifest.pools.push_back(pool_of({}, {"c.example:8443"}));
    manifest.pools.back().id = "api";
    REQUIRE(records_of(manifest, "web").records.size() == 1);
    CHECK(records_of(manifest, "web").records[0].name == "_tls-pool.a.example");
    CHECK(records_of(manifest, "api").records.empty());
    CHECK(records_of(manifest, "api").left_out.back() ==
          "c.example: another pool has it too, and DNS knows no ports");
  }

  TEST_CASE("a zone's line ends its name with a dot and quotes its text") {
    CHECK(zone_line({"_tls-pool.a.example", "v=1 pool=web"}, 300) ==
          "_tls-pool.a.example. 300 IN TXT \"v=1 pool=web\"");
    CHECK(zone_line({"n", "a\"b\\c"}, 0) == "n. 0 IN TXT \"a\\\"b\\\\c\"");
  }

  TEST_CASE("an id that no TXT string has room for gives no record") {
    auto pool = pool_of({"a.example"});
    pool.id = std::string(246, 'i');
    CHECK(records_of(only(pool), pool.id).records.size() == 1);
    pool.id += 'i';
    CHECK(records_of(only(pool), pool.id).records.empty());
    CHECK(records_of(only(pool), pool.id).left_out.size() == 1);
  }

  TEST_CASE("promise 15: a time to live that is none is named") {
    CHECK(parse_ttl("0") == 0);
    CHECK(parse_ttl("2147483647") == 0x7fffffff);
    for (const auto* text : {"", "-1", "1h", "2147483648", "99999999999"}) {
      CAPTURE(text);
      CHECK_THROWS_WITH_AS(parse_ttl(text), doctest::Contains("--ttl"), CommandError);
    }
  }
}
