// The client of keyd's admin socket: a frame is u32 big-endian length and JSON
// (docs/formats.md).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "command.hpp"

namespace ticketctl {

constexpr std::size_t max_frame = 1 << 20;  // of either direction

// Sends one request and gives the answer, whatever its "ok". Throws
// CommandError (unreachable) when keyd does not answer as it should within
// `patience`: no socket, nobody there, no permission, a frame that is too long
// or cut, no JSON object.
nlohmann::json ask_keyd(const std::filesystem::path& socket, const nlohmann::json& request,
                        std::chrono::seconds patience = std::chrono::seconds(30));

// --socket, $TICKETCTL_SOCKET, /run/keyd/keyd.sock, ./keyd.sock: the first that
// is named or exists.
std::filesystem::path find_socket(const CommandLine& line);

// What the commands do with it: adds --socket and --json to the options; asks,
// and prints the answer when --json was given. Throws CommandError (no) with
// keyd's own words when it refuses.
void add_admin_options(CommandLine& line);
nlohmann::json ask(const CommandLine& line, const nlohmann::json& request);

}  // namespace ticketctl
