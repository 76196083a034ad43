// The client manifest: which servers form one pool, as an operator publishes it.
// docs/client-manifest.md describes it.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/clock.hpp"
#include "client/server.hpp"

namespace ticket::client {

constexpr std::size_t max_manifest_size = 16 << 20;
constexpr std::size_t max_manifest_pools = 10'000;
constexpr std::size_t max_manifest_entries = 200'000;  // names and servers, of all pools
constexpr std::size_t max_pool_id_size = 255;

struct PoolEntry {
  std::string id;
  std::vector<std::string> names;  // normal host names; the pool's on every port
  std::vector<Server> servers;     // the pool's on that port alone
};

struct ClientManifest {
  sys_seconds expires;
  std::vector<PoolEntry> pools;
};

// 1-255 visible ASCII characters.
bool is_pool_id(std::string_view id);

// A manifest, or what is wrong with it: the line and column of what is no JSON, the
// pool and the field of what is no manifest. It may have expired: the caller looks.
[[nodiscard]] tl::expected<ClientManifest, std::string> parse_client_manifest(
    std::string_view text);

std::string write_client_manifest(const ClientManifest& manifest);

}  // namespace ticket::client
