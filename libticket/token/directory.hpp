// What an issuer publishes at /.well-known/private-token-issuer-directory (RFC 9578,
// section 4).
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "token/token_key.hpp"

namespace ticket::token {

constexpr std::string_view directory_path = "/.well-known/private-token-issuer-directory";
constexpr std::string_view directory_media_type = "application/private-token-issuer-directory";

// A key as it stands there, of whatever type: others than ours are kept, not looked into.
struct DirectoryKey {
  std::uint16_t code = 0;  // of its type
  Bytes bytes;
  std::optional<sys_seconds> not_before;

  bool operator==(const DirectoryKey&) const = default;
};

struct Directory {
  std::string request_uri;         // absolute, or relative to the directory
  std::vector<DirectoryKey> keys;  // the preferred one first

  // The first key of that type that is fit and begun; rejects with unsupported or no_key.
  [[nodiscard]] Checked<TokenKey> key(TokenType type, const TokenTypes& types, Moment now) const;
  bool operator==(const Directory&) const = default;
};

std::string write_directory(const Directory& directory);
// Rejects with malformed, also more than 64 KiB or 256 keys.
[[nodiscard]] Checked<Directory> parse_directory(std::string_view text);

}  // namespace ticket::token
