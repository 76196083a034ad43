// The client of keyd's admin socket: a frame is u32 big-endian length and JSON
// (docs/formats.md).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.hpp"

namespace ticketctl {

constexpr std::size_t max_frame = 16 << 20;  // of either direction

// Sends one request and gives the answer, whatever its "ok". Throws
// CommandError (unreachable) when keyd does not answer as it should within
// `patience`: no socket, nobody there, no permission, a frame that is too long
// or cut, no JSON object.
nlohmann::json ask_keyd(const std::filesystem::path& socket, const nlohmann::json& request,
                        std::chrono::seconds patience = std::chrono::seconds(30));

// --socket, $TICKETCTL_SOCKET, else found_socket() here, in /etc/keyd and at
// /run/keyd/keyd.sock.
std::filesystem::path find_socket(const CommandLine& line);

// The `admin` of the first keyd.toml in these folders, else `otherwise` if it is
// there. Throws CommandError (unreachable) that tells what was tried.
std::filesystem::path found_socket(const std::vector<std::filesystem::path>& folders,
                                   const std::filesystem::path& otherwise);

// What the commands do with it: adds --socket and --json to the options; asks,
// and prints the answer when --json was given. Throws CommandError (no) with
// keyd's own words when it refuses.
void add_admin_options(CommandLine& line);
nlohmann::json ask(const CommandLine& line, const nlohmann::json& request);
// The same for a command whose --json is something else than keyd's answer.
nlohmann::json ask_quietly(const CommandLine& line, const nlohmann::json& request);

}  // namespace ticketctl
