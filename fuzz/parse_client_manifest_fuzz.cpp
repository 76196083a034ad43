// Whatever parses can be written and parses to itself, keeps its limits, and each of its
// servers is found in its own pool; whatever does not says in one printable line why.
#include <algorithm>

#include "client/pool_map.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket::client;
  const auto manifest = parse_client_manifest(text_of(data, size));
  if (!manifest) {
    holds(!manifest.error().empty() && manifest.error().size() < 512);
    holds(std::ranges::all_of(manifest.error(), [](char c) { return c >= ' ' && c <= '~'; }));
    return 0;
  }
  const auto text = write_client_manifest(*manifest);
  const auto again = parse_client_manifest(text);
  holds(again && write_client_manifest(*again) == text);
  const PoolMap map(*manifest);
  const auto before = manifest->expires - ticket::seconds(1);
  for (const auto& pool : manifest->pools) {
    for (const auto& server : pool.servers) {
      const auto* found = map.find(server, before);
      holds(found != nullptr && *found == pool_of_manifest(pool.id));
      holds(map.find(server, manifest->expires) == nullptr);
    }
    for (const auto& name : pool.names) {
      const auto server = Server::from(name, 443);
      holds(server && server->host() == name);
      const auto* found = map.find(*server, before);
      holds(found != nullptr && *found == pool_of_manifest(pool.id));
    }
  }
  return 0;
}
