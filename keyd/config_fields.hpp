// Settings that more than one section of a configuration has. Each throws
// ConfigError naming file, line and field.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "config.hpp"
#include "config_toml.hpp"

namespace keyd::toml_file {

constexpr auto name_rule =
    "1 to 63 characters a-z, A-Z, 0-9, '.', '_', '-', the first neither '.' nor '-'";

std::string in_quotes(std::string_view text);

// Relative to the folder of the file.
std::filesystem::path resolve(const Section& section, std::string_view path);
std::filesystem::path path(const Section& section, std::string_view key, const char* allowed);

// A name of a pool or a member, or what follows the same rule.
std::string name(const Section& section, std::string_view key);

// One of a few words; `otherwise` when the field is missing.
std::string one_of(const Section& section, std::string_view key,
                   std::initializer_list<std::string_view> choices, std::string_view otherwise);

constexpr auto address_rule = "write \"HOST:PORT\" or \"[IPV6]:PORT\"";
std::optional<Address> parse_address(std::string_view text);

// A Unix socket's path, which has a slash in it, or an address; nullopt when the field is
// missing.
std::optional<Endpoint> endpoint(const Section& section, std::string_view key);

// A path that the address of a Unix socket has room for; `line` is the field's.
std::filesystem::path socket_path(const Section& section, std::string_view key, int line,
                                  std::string_view path);

}  // namespace keyd::toml_file
