// What clients are told of a pool: by keyd's HTTP, its admin socket and ticketctl.
#include "client_manifest.hpp"

#include <doctest/doctest.h>

#include "client/manifest.hpp"
#include "keyd_process.hpp"
#include "support/rings.hpp"

using namespace test;
using nlohmann::json;

namespace {

keyd::AuthorityConfig config_of(std::vector<keyd::ClientPool> told) {
  keyd::AuthorityConfig config;
  for (auto& client : told) {
    keyd::PoolConfig pool;
    pool.name = client.id;
    pool.client = std::move(client);
    config.pools.push_back(std::move(pool));
  }
  return config;
}

// Settings for the pool web alone, on a keyd that shows its metrics.
void tell_clients_of_web(const Folder& folder, const std::string& settings) {
  folder.configure("", "metrics = \"127.0.0.1:0\"\n");
  auto text = support::read_text(folder / "keyd.toml");
  const std::string pool = "name = \"web\"\n";
  text.insert(text.find(pool) + pool.size(), settings + "\n");
  folder.write("keyd.toml", text);
}

}  // namespace

TEST_SUITE("client manifest") {
  TEST_CASE("it has the pools that clients are told of, and its end") {
    const auto config = config_of({{"web", {"a.example"}, {"b.example:8443"}}, {"mail", {}, {}}});
    const auto answer = keyd::tell_client_manifest(config, "", noon + 7 * 24h);
    REQUIRE(answer.at("ok") == true);
    const auto manifest = ticket::client::parse_client_manifest(answer.at("manifest").dump());
    REQUIRE(manifest.has_value());
    CHECK(manifest->expires == noon + 7 * 24h);
    REQUIRE(manifest->pools.size() == 1);
    CHECK(manifest->pools[0].id == "web");
    CHECK(manifest->pools[0].names == std::vector<std::string>{"a.example"});
    CHECK(manifest->pools[0].servers.at(0).text() == "b.example:8443");
  }

  TEST_CASE("of one pool it has that one, and who cannot be told of says why") {
    const auto config =
        config_of({{"web", {"a.example"}, {}}, {"shop", {"s.example"}, {}}, {"mail", {}, {}}});
    const auto one = keyd::tell_client_manifest(config, "shop", noon);
    CHECK(one.at("manifest").at("pools").size() == 1);
    CHECK(one.at("manifest").at("pools").at(0).at("id") == "shop");
    CHECK(keyd::tell_client_manifest(config, "none", noon).at("error") ==
          "no pool is called 'none'");
    const auto mail = keyd::tell_client_manifest(config, "mail", noon);
    CHECK(mail.at("ok") == false);
    CHECK(mail.at("error").get<std::string>().find("client_names") != std::string::npos);
  }

  TEST_CASE("keyd serves it where its metrics are, ticketctl prints it and its records") {
    const Folder folder;
    tell_clients_of_web(folder, R"(client_names = ["A.example.", "b.example"]
client_servers = ["[::1]:8443"])");
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    const auto ctl = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), (support::build_root() / "ticketctl/ticketctl").string());
      arguments.insert(arguments.end(), {"--socket", (folder / "keyd.sock").string()});
      return support::run(arguments);
    };
    const auto printed = ctl({"pool", "manifest", "web"});
    REQUIRE_MESSAGE(printed.code == 0, printed.output);
    const auto pool = json::parse(printed.output).at("pools").at(0);
    CHECK(pool.at("names") == json({"a.example", "b.example"}));
    CHECK(pool.at("servers") == json({"[::1]:8443"}));

    const auto zone = ctl({"pool", "dns", "web", "--zone", "--ttl", "60"});
    CHECK(zone.output.find("_tls-pool.a.example. 60 IN TXT \"v=1 pool=web\"\n"
                           "_tls-pool.b.example. 60 IN TXT \"v=1 pool=web\"\n") !=
          std::string::npos);
    CHECK(zone.output.find("[::1]:8443: an address has no record") != std::string::npos);
    CHECK(ctl({"pool", "dns", "none"}).code == 1);

    const auto log = keyd.process.output();
    const auto at = log.find("http://", log.find("metrics: "));
    const auto url = log.substr(at, log.find_first_of("/ \n", at + 7) - at);
    const auto got = support::run({"curl", "-s", "-f", url + "/v1/client-manifest"});
    REQUIRE_MESSAGE(got.code == 0, url);
    const auto served = json::parse(got.output);
    CHECK(served.at("pools").at(0) == pool);
    const auto week = (wall_clock() + 7 * 24h).time_since_epoch().count();
    CHECK(std::abs(served.at("expires").get<std::int64_t>() - week) < 60);
  }

  TEST_CASE("promise 15: names that contradict each other are refused, and say where") {
    const Folder folder;
    folder.configure("client_names = [\"a.example\"]\n");  // of both pools
    CHECK_THROWS_WITH(keyd::read_authority_config(folder / "keyd.toml"),
                      doctest::Contains("\"a.example\" is in pool \"web\" too"));
    tell_clients_of_web(folder, "client_names = [\"a..example\"]");
    CHECK_THROWS_WITH(keyd::read_authority_config(folder / "keyd.toml"),
                      doctest::Contains("client_names: \"a..example\" is no host name"));
    tell_clients_of_web(folder, "client_servers = [\"a.example\"]");
    CHECK_THROWS_WITH(keyd::read_authority_config(folder / "keyd.toml"),
                      doctest::Contains("client_servers: \"a.example\" is no server"));
    tell_clients_of_web(folder, "client_id = \"\"");
    CHECK_THROWS_WITH(keyd::read_authority_config(folder / "keyd.toml"),
                      doctest::Contains("client_id"));
  }
}
