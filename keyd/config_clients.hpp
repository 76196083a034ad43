// What clients are told of a pool: the settings client_id, client_names and
// client_servers of [[pool]].
#pragma once

#include "config.hpp"
#include "config_toml.hpp"

namespace keyd {

ClientPool client_pool(const toml_file::Section& pool, const std::string& name);

// A name that two pools claim, or one twice. Throws ConfigError.
void refuse_contradictions(const toml_file::Section& root, const std::vector<PoolConfig>& pools);

}  // namespace keyd
