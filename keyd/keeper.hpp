// The process that holds the secrets: no network, one thread, one poll loop.
#pragma once

#include <filesystem>

namespace keyd {

// Runs the authority, front included, until SIGTERM or SIGINT. SIGHUP reads the
// configuration again, whole or not at all. Returns the exit status: 0 stopped,
// 1 it cannot go on, 2 the configuration is wrong. `port_file`, unless empty,
// gets the number of the first listener's port once it listens.
int run_authority(const std::filesystem::path& config_file, const std::filesystem::path& port_file);

}  // namespace keyd
