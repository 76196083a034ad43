// [[tokens]] of agent.toml: where this host redeems one-time tokens.
#pragma once

#include "config.hpp"
#include "config_files.hpp"
#include "config_toml.hpp"

namespace keyd {

// Adds them to a configuration whose pools and feeds are read, and their files to `files`.
// Throws ConfigError.
void read_tokens(const toml_file::Section& root, AgentConfig& config, FilesInUse& files);

// What is right but should be known, a line each. Reads ring files where there are some.
std::vector<std::string> token_notes(const AgentConfig& config, ticket::Moment now);

}  // namespace keyd
