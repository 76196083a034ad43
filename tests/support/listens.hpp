// Waiting for a server that a test started.
#pragma once

#include <cstdint>

#include "support/process.hpp"

namespace support {

// Waits until the process takes connections at 127.0.0.1:`port`; false when it ended
// before, or did not within 20 s.
bool listens(std::uint16_t port, Process& process);

}  // namespace support
