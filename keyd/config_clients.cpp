#include "config_clients.hpp"

#include "client/manifest.hpp"
#include "client_manifest.hpp"
#include "config_fields.hpp"

namespace keyd {

using namespace ticket::client;
using toml_file::in_quotes;
using toml_file::Section;

ClientPool client_pool(const Section& pool, const std::string& name) {
  ClientPool told;
  told.id = pool.text_or("client_id", "1-255 visible ASCII characters", name);
  if (!is_pool_id(told.id)) {
    pool.fail("client_id", in_quotes(told.id) + " is none", "1-255 visible ASCII characters");
  }
  constexpr auto names = "a list of host names, the pool's on every port";
  for (const auto& [line, text] : pool.texts("client_names", names, false)) {
    const auto host = normal_host_name(text);
    if (!host) pool.fail_at(line, "client_names", in_quotes(text) + " is no host name", names);
    told.names.push_back(*host);
  }
  constexpr auto servers = "a list of \"HOST:PORT\"";
  for (const auto& [line, text] : pool.texts("client_servers", servers, false)) {
    const auto server = Server::parse(text);
    if (!server) pool.fail_at(line, "client_servers", in_quotes(text) + " is no server", servers);
    told.servers.push_back(server->text());
  }
  return told;
}

void refuse_contradictions(const Section& root, const std::vector<PoolConfig>& pools) {
  const auto manifest = parse_client_manifest(client_manifest(client_pools(pools), {}));
  if (manifest) return;
  root.fail_at(1, "client_names, client_servers", manifest.error(),
               "clients find each name and server in one pool, once");
}

}  // namespace keyd
