// The fields of a JSON object from outside: each is there and of its type and range, or
// the whole is malformed. Unknown fields are for later versions. Public things alone:
// JSON copies what it holds into memory that nobody wipes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/checked.hpp"
#include "base/clock.hpp"

namespace ticket::wire {

[[nodiscard]] Checked<const nlohmann::json*> field(const nlohmann::json& object, const char* name);
// At most `most`.
[[nodiscard]] Checked<std::uint64_t> integer(const nlohmann::json& object, const char* name,
                                             std::uint64_t most);
// Unix seconds, as Cursor::time().
[[nodiscard]] Checked<sys_seconds> time(const nlohmann::json& object, const char* name);
// At most `most` bytes.
[[nodiscard]] Checked<std::string> string(const nlohmann::json& object, const char* name,
                                          std::size_t most);

// What a text decoded to, if it is N bytes.
template <std::size_t N>
[[nodiscard]] Checked<ByteArray<N>> bytes(const std::optional<Bytes>& decoded) {
  if (!decoded || decoded->size() != N) return reject(Rejection::malformed);
  return to_array(BytesView(*decoded).first<N>());
}

// Every element of an array of at most `most`, parsed by `parse`.
template <class T>
[[nodiscard]] Checked<std::vector<T>> list(const nlohmann::json& object, const char* name,
                                           std::size_t most,
                                           Checked<T> (*parse)(const nlohmann::json&)) {
  const auto* values = TRY(field(object, name));
  if (!values->is_array() || values->size() > most) return reject(Rejection::malformed);
  std::vector<T> parsed;
  for (const auto& value : *values) parsed.push_back(TRY(parse(value)));
  return parsed;
}

}  // namespace ticket::wire
