// An id is one that a manifest could have, and stands in the record; what names a pool
// twice names none.
#include "client/manifest.hpp"
#include "client/pool_txt.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::client;
  const auto records = read_pool_records({text_of(data, size)});
  const auto text = txt_text(text_of(data, size));
  holds(records.id.has_value() == (records.ignored == 0));
  if (!records.id) return 0;
  holds(is_pool_id(*records.id));
  holds(text && text->starts_with("v=1 ") &&
        text->find("pool=" + *records.id) != std::string::npos);
  holds(parse_pool_txt("v=1 pool=" + *records.id) == records.id);
  holds(!read_pool_records({text_of(data, size), text_of(data, size)}).id);
  return 0;
}
