// Whatever parses can be written, and what was written parses to itself.
#include "feed/bundle.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  if (const auto manifest = ticket::feed::parse_manifest(text_of(data, size))) {
    const auto text = ticket::feed::write_manifest(*manifest);
    const auto again = ticket::feed::parse_manifest(text);
    holds(again.has_value() && ticket::feed::write_manifest(*again) == text);
    holds(manifest->epochs.size() <= 64 && manifest->generation != 0);
  }
  return 0;
}
