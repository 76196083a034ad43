// libcurl, without its headers: what a program that uses it has loaded anyway.
#pragma once

#include <optional>

#include "client/server.hpp"

namespace ticket::client {

// The TLS server that a transfer's URL leads to; nullopt when libcurl is not loaded, or the
// URL is none of https, wss, ftps and their like.
std::optional<Server> server_of_transfer(void* curl);

using CurlCallback = unsigned (*)(void* curl, void* ssl_ctx, void* user);

// Makes a transfer call `callback` with each SSL_CTX, and switches off its own session cache.
// False when libcurl is not loaded or refuses.
bool set_curl_callback(void* curl, CurlCallback callback, void* user);

}  // namespace ticket::client
