// What DNS says of a server's pool: _tls-pool.NAME TXT "v=1 pool=ID".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ticket::client {

constexpr std::string_view pool_txt_prefix = "_tls-pool.";

// The data of a TXT record: its character strings, each u8 length | bytes, joined.
// nullopt when it does not parse.
std::optional<std::string> txt_text(std::string_view data);

// The id in a record's text: words `name=value` between single spaces, the first of
// them v=1, one of them pool=ID; other names are for later versions. nullopt for
// anything else.
std::optional<std::string> parse_pool_txt(std::string_view text);

// What all records of a name together say.
struct PoolRecords {
  std::optional<std::string> id;
  std::size_t ignored = 0;  // records that say nothing
};
// One record that parses counts; several contradict each other, so none does. `data`
// is as for txt_text.
PoolRecords read_pool_records(const std::vector<std::string_view>& data);

}  // namespace ticket::client
