// The client manifest (docs/client-manifest.md): which servers form a pool, for
// clients that keep sessions by pool. Nothing in it is secret.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "config.hpp"

namespace keyd {

// Of the pools that clients are told of.
std::vector<ClientPool> client_pools(const std::vector<PoolConfig>& pools);

// The answer on the admin socket: of all pools, or of `pool` alone.
nlohmann::json tell_client_manifest(const AuthorityConfig& config, const std::string& pool,
                                    ticket::sys_seconds expires);

std::string client_manifest(const std::vector<ClientPool>& pools, ticket::sys_seconds expires);

}  // namespace keyd
