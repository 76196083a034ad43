#include "client/pool_map.hpp"

namespace ticket::client {

namespace {
constexpr std::string_view manifest_prefix = "manifest:", dns_prefix = "dns:",
                           alone_prefix = "host:";

Pool joined(std::string_view prefix, std::string_view rest) {
  Pool pool;
  pool.reserve(prefix.size() + rest.size());
  pool += prefix;
  pool += rest;
  return pool;
}
}  // namespace

Pool pool_of_manifest(std::string_view id) { return joined(manifest_prefix, id); }
Pool pool_of_dns(std::string_view id) { return joined(dns_prefix, id); }
Pool pool_alone(const Server& server) { return joined(alone_prefix, server.text()); }
bool is_of_manifest(std::string_view pool) { return pool.starts_with(manifest_prefix); }
bool is_alone(std::string_view pool) { return pool.starts_with(alone_prefix); }

PoolMap::PoolMap(const ClientManifest& manifest) : expires_(manifest.expires) {
  for (const auto& pool : manifest.pools) {
    const auto number = static_cast<std::uint32_t>(pools_.size());
    pools_.push_back(pool_of_manifest(pool.id));
    for (const auto& name : pool.names) names_.add(name, number);
    for (const auto& server : pool.servers) servers_.add(server.text(), number);
  }
}

const Pool* PoolMap::find(const Server& server, sys_seconds now) const {
  if (now >= expires_) return nullptr;
  auto number = servers_.find(server.text());
  if (!number) number = names_.find(server.host());
  return number ? &pools_[*number] : nullptr;
}

}  // namespace ticket::client
