#include "client/pool_txt.hpp"

#include "client/manifest.hpp"
#include "wire/cursor.hpp"

namespace ticket::client {

std::optional<std::string> txt_text(std::string_view data) {
  wire::Cursor cursor(as_bytes(data));
  std::string text;
  while (cursor.remaining() > 0) {
    const auto part = cursor.short_field();
    if (!part) return std::nullopt;
    text += as_text(*part);
  }
  return text;
}

std::optional<std::string> parse_pool_txt(std::string_view text) {
  std::optional<std::string> id;
  bool first = true;
  for (bool last = false; !last; first = false) {
    const auto space = text.find(' ');
    last = space == std::string_view::npos;
    const auto word = text.substr(0, space);
    if (!last) text.remove_prefix(space + 1);
    if (first && word != "v=1") return std::nullopt;
    if (word.find('=') == std::string_view::npos || word.front() == '=') return std::nullopt;
    if (!word.starts_with("pool=")) continue;
    const auto value = word.substr(5);
    if (id || !is_pool_id(value)) return std::nullopt;
    id = value;
  }
  return id;
}

PoolRecords read_pool_records(const std::vector<std::string_view>& data) {
  PoolRecords records;
  std::size_t valid = 0;
  for (const auto one : data) {
    const auto text = txt_text(one);
    auto id = text ? parse_pool_txt(*text) : std::nullopt;
    if (!id) continue;
    ++valid;
    records.id = std::move(id);
  }
  if (valid != 1) records.id.reset();
  records.ignored = data.size() - (valid == 1 ? 1 : 0);
  return records;
}

}  // namespace ticket::client
