// A name that is taken fits, has no NUL and no upper case.
#include <algorithm>

#include "fuzz.hpp"
#include "server_name.hpp"

FUZZ_TARGET(data, size) {
  ticket::openssl::ServerName name;
  if (ticket::openssl::parse_server_name(data, size, &name)) {
    const auto view = name.view();
    holds(view.size() <= 255 && view.size() <= size);
    holds(std::ranges::none_of(view, [](char c) { return c == '\0' || (c >= 'A' && c <= 'Z'); }));
  }
  return 0;
}
