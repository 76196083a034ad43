#include "wire/json.hpp"

namespace ticket::wire {

using nlohmann::json;

Checked<const json*> field(const json& object, const char* name) {
  if (!object.is_object()) return reject(Rejection::malformed);
  const auto found = object.find(name);
  if (found == object.end()) return reject(Rejection::malformed);
  return &*found;
}

Checked<std::uint64_t> integer(const json& object, const char* name, std::uint64_t most) {
  const auto* value = TRY(field(object, name));
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most) {
    return reject(Rejection::malformed);
  }
  return value->get<std::uint64_t>();
}

Checked<sys_seconds> time(const json& object, const char* name) {
  constexpr std::uint64_t last_second = (std::uint64_t{1} << 40) - 1;
  return sys_seconds(seconds(TRY(integer(object, name, last_second))));
}

Checked<std::string> string(const json& object, const char* name, std::size_t most) {
  const auto* value = TRY(field(object, name));
  if (!value->is_string()) return reject(Rejection::malformed);
  auto text = value->get<std::string>();
  if (text.size() > most) return reject(Rejection::malformed);
  return text;
}

}  // namespace ticket::wire
