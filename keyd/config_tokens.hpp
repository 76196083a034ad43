// [pool.tokens] of keyd.toml.
#pragma once

#include <optional>

#include "config.hpp"
#include "config_toml.hpp"
#include "messages.hpp"

namespace keyd {

// nullopt: the pool has no tokens. Throws ConfigError.
std::optional<TokensConfig> pool_tokens(const toml_file::Section& pool);

// Two issuers at one address. Throws ConfigError naming the second.
void refuse_shared_listeners(const toml_file::Section& root, const std::vector<PoolConfig>& pools);

// What the front is told, with the files that are named read. Throws ConfigError.
std::vector<IssuerSetup> issuer_setups(const std::vector<PoolConfig>& pools);

// As notes(AgentConfig).
std::vector<std::string> token_notes(const PoolConfig& pool);

}  // namespace keyd
