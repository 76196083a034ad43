// keyd's role on a server: subscribes, opens bundles, writes ring files.
#pragma once

#include <filesystem>

namespace keyd {

// Runs until SIGTERM or SIGINT, then returns 0; the ring files stay, so that the
// servers go on. SIGHUP rereads the configuration, whole or not at all. Throws
// ConfigError or std::runtime_error when it cannot start: nothing was started.
int run_agent(const std::filesystem::path& config_file);

}  // namespace keyd
