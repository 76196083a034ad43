// The authority's files: none that keyd writes is any other of them.
#pragma once

#include "config.hpp"
#include "config_toml.hpp"

namespace keyd {

// Throws ConfigError, naming the field, when a file that keyd writes has another use.
void refuse_shared_files(const toml_file::Section& section, const AuthorityConfig& config);

}  // namespace keyd
