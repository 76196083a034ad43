// [[haproxy]] and [[keyfile]] of agent.toml: whom the agent feeds beside the
// servers that read ring files.
#pragma once

#include "config.hpp"
#include "config_files.hpp"
#include "config_toml.hpp"

namespace keyd {

// Adds them to a configuration whose pools are read, and their files to `files`. Throws
// ConfigError.
void read_feeds(const toml_file::Section& root, AgentConfig& config, FilesInUse& files);

}  // namespace keyd
