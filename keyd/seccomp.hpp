// The keeper's cage: it keeps the sockets and files that it has, may read its
// configuration again and replace its state, and may open no socket, run no
// program, reach no network.
#pragma once

#include <string>

namespace keyd {

// `mode`: "kill" ends the process at the first call that is not allowed, "errno"
// fails the call with EPERM (for fault tests), "off" does nothing. For good: no
// mode can be taken back. Of all threads, those that run already too. Throws
// std::runtime_error when the kernel refuses.
void restrict_system_calls(const std::string& mode);

}  // namespace keyd
