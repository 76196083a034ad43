// One plain HTTP request to a status listener.
#pragma once

#include <chrono>
#include <string>
#include <tl/expected.hpp>

#include "endpoint.hpp"

namespace ticketctl {

// The body of a 200; else an error in words. An answer above 4 MiB is none.
tl::expected<std::string, std::string> http_get(const Endpoint& server, const std::string& path,
                                                std::chrono::milliseconds timeout);

}  // namespace ticketctl
