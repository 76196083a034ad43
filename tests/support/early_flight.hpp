// First flights of TLS 1.3 with early data, as bytes: for who carries them more than once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace support {

// A ClientHello that offers the ticket of a session file (of s_client), and a request
// behind it. nullopt when the session takes no early data. No two are alike.
std::optional<std::string> early_flight(const std::filesystem::path& session,
                                        const std::string& name, const std::string& request);

// Sends the bytes to a server of this host, whole, and waits until it has answered (a
// ServerHello, and what it says by then) or closes. True when it answered.
bool deliver(const std::string& flight, std::uint16_t port);

}  // namespace support
