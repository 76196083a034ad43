#include "client/pool_map.hpp"

namespace ticket::client {

namespace {
constexpr std::string_view manifest_prefix = "manifest:", dns_prefix = "dns:",
                           alone_prefix = "host:";

Pool joined(std::string_view prefix, std::string_view rest) {
  std::string text;
  text.reserve(prefix.size() + rest.size());
  text += prefix;
  text += rest;
  return text;
}
}  // namespace

Pool pool_of_manifest(std::string_view id) { return joined(manifest_prefix, id); }
Pool pool_of_dns(std::string_view id) { return joined(dns_prefix, id); }
Pool pool_alone(const Server& server) { return joined(alone_prefix, server.text()); }
bool is_of_manifest(const Pool& pool) { return pool.text().starts_with(manifest_prefix); }
bool is_alone(const Pool& pool) { return pool.text().starts_with(alone_prefix); }

PoolMap::PoolMap(const ClientManifest& manifest) : expires_(manifest.expires) {
  for (const auto& pool : manifest.pools) {
    const auto number = static_cast<std::uint32_t>(pools_.size());
    pools_.push_back(pool_of_manifest(pool.id));
    for (const auto& name : pool.names) names_.add(key_of(name), number);
    for (const auto& server : pool.servers) servers_.add(server.key(), number);
  }
}

const Pool* PoolMap::find(const Server& server, sys_seconds now) const {
  if (now >= expires_) return nullptr;
  auto number = servers_.find(server.key());
  if (!number) number = names_.find(server.host_key());
  return number ? &pools_[*number] : nullptr;
}

}  // namespace ticket::client
