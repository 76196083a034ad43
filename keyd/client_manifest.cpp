#include "client_manifest.hpp"

#include <nlohmann/json.hpp>

#include "client/manifest.hpp"

namespace keyd {

std::vector<ClientPool> client_pools(const std::vector<PoolConfig>& pools) {
  std::vector<ClientPool> told;
  for (const auto& pool : pools) {
    if (!pool.client.names.empty() || !pool.client.servers.empty()) told.push_back(pool.client);
  }
  return told;
}

nlohmann::json tell_client_manifest(const AuthorityConfig& config, const std::string& pool,
                                    ticket::sys_seconds expires) {
  std::vector<PoolConfig> asked;
  for (const auto& each : config.pools) {
    if (pool.empty() || each.name == pool) asked.push_back(each);
  }
  const auto refuse = [](const std::string& why) {
    return nlohmann::json{{"ok", false}, {"error", why}};
  };
  if (asked.empty()) return refuse("no pool is called '" + pool + "'");
  const auto told = client_pools(asked);
  if (told.empty()) {
    return refuse("clients are told nothing of " +
                  (pool.empty() ? "any pool" : "the pool " + pool) +
                  ": give it client_names or client_servers in keyd.toml");
  }
  return {{"ok", true}, {"manifest", nlohmann::json::parse(client_manifest(told, expires))}};
}

std::string client_manifest(const std::vector<ClientPool>& pools, ticket::sys_seconds expires) {
  ticket::client::ClientManifest manifest;
  manifest.expires = expires;
  for (const auto& pool : pools) {
    auto& entry = manifest.pools.emplace_back();
    entry.id = pool.id;
    entry.names = pool.names;
    for (const auto& server : pool.servers) {
      entry.servers.push_back(ticket::client::Server::parse(server).value());
    }
  }
  return ticket::client::write_client_manifest(manifest);
}

}  // namespace keyd
