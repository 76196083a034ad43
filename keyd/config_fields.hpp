// Settings that more than one section of a configuration has. Each throws
// ConfigError naming file, line and field.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "config.hpp"
#include "config_toml.hpp"

namespace keyd::toml_file {

constexpr auto name_rule =
    "1 to 63 characters a-z, A-Z, 0-9, '.', '_', '-', the first neither '.' nor '-'";

constexpr auto address_rule = "write \"HOST:PORT\" or \"[IPV6]:PORT\"";
constexpr auto duration_rule = "a whole number and s, m, h or d, like \"90s\" or \"12h\"";

std::string in_quotes(std::string_view text);

// Relative to the folder of the file.
std::filesystem::path resolve(const Section& section, std::string_view path);
std::filesystem::path path(const Section& section, std::string_view key, const char* allowed);

// A file that is there and can be read; a secret one that nobody else can, too.
std::filesystem::path file(const Section& section, std::string_view key, const char* allowed);
std::filesystem::path checked_file(const Section& section, std::string_view key,
                                   std::filesystem::path file, const char* allowed);
std::filesystem::path secret_file(const Section& section, std::string_view key,
                                  const char* allowed);

// "HOST:PORT", "[::1]:PORT"; nullopt for anything else.
std::optional<Address> parse_address(std::string_view text);
Address address(const Section& section, std::string_view key);

// Leaves `out` as it is when the field is missing.
void duration(const Section& section, std::string_view key, ticket::seconds& out);

// A name of a pool or a member, or what follows the same rule.
std::string name(const Section& section, std::string_view key);

// One of a few words; `otherwise` when the field is missing.
std::string one_of(const Section& section, std::string_view key,
                   std::initializer_list<std::string_view> choices, std::string_view otherwise);

// A Unix socket's path, which has a slash in it, or an address; nullopt when the field is
// missing.
std::optional<Endpoint> endpoint(const Section& section, std::string_view key);

// A path that the address of a Unix socket has room for; `line` is the field's.
std::filesystem::path socket_path(const Section& section, std::string_view key, int line,
                                  std::string_view path);

}  // namespace keyd::toml_file
