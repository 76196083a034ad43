#include "token/directory.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "wire/json.hpp"

namespace ticket::token {

namespace {

using nlohmann::json;

constexpr std::size_t max_size = 64 << 10;
constexpr std::size_t max_keys = 256;

// A URI of visible ASCII: it goes into requests and logs.
bool is_uri(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Checked<DirectoryKey> parse_key(const json& object) {
  DirectoryKey key;
  key.code = static_cast<std::uint16_t>(TRY(wire::integer(object, "token-type", 0xffff)));
  const auto bytes = from_base64url_padded(TRY(wire::string(object, "token-key", max_size)));
  if (!bytes || bytes->empty()) return reject(Rejection::malformed);
  key.bytes = *bytes;
  if (object.contains("not-before")) key.not_before = TRY(wire::time(object, "not-before"));
  return key;
}

}  // namespace

Checked<TokenKey> Directory::key(TokenType type, const TokenTypes& types, Moment now) const {
  const auto code = TRY(types.code(type));
  for (const auto& one : keys) {
    if (one.code != code || (one.not_before && now.latest < *one.not_before)) continue;
    if (auto key = parse_token_key(type, one.bytes)) return key;
  }
  return reject(Rejection::no_key);
}

std::string write_directory(const Directory& directory) {
  json keys = json::array();
  for (const auto& key : directory.keys) {
    json object = {{"token-type", key.code}, {"token-key", base64url_padded(key.bytes)}};
    if (key.not_before) object["not-before"] = key.not_before->time_since_epoch().count();
    keys.push_back(std::move(object));
  }
  return json{{"issuer-request-uri", directory.request_uri}, {"token-keys", std::move(keys)}}
      .dump();
}

Checked<Directory> parse_directory(std::string_view text) {
  if (text.size() > max_size) return reject(Rejection::malformed);
  const auto object = json::parse(text, nullptr, false);
  Directory directory;
  directory.request_uri = TRY(wire::string(object, "issuer-request-uri", 4096));
  if (!is_uri(directory.request_uri)) return reject(Rejection::malformed);
  directory.keys = TRY(wire::list(object, "token-keys", max_keys, parse_key));
  return directory;
}

}  // namespace ticket::token
