// Whatever parses holds sessions that are alive and whole, and is written and read again;
// whatever does not says why. Inputs without the checksum get the right one, or nothing
// would come past it.
#include <openssl/sha.h>

#include "client/cache_file.hpp"
#include "fuzz.hpp"

namespace {

using namespace ticket::client;
constexpr ticket::sys_seconds now{ticket::seconds(1'790'000'000)};

void try_parse(ticket::BytesView bytes) {
  auto parsed = parse_session_cache(bytes, now);
  if (!parsed) {
    holds(!parsed.error().empty());
    return;
  }
  SessionCache cache({1'000'000, 1'000'000, 1'000'000});
  std::size_t sessions = 0;
  for (auto& cached : *parsed) {
    holds(cached.session.session && cached.session.lineage && cached.session.lineage->leaf);
    holds(now < cached.session.expires);
    holds(cached.session.expires <= cached.session.received + longest_life);
    holds(cached.partition.text().find('\0') == std::string::npos);
    cache.put(cached.partition, cached.pool, std::move(cached.session));
    ++sessions;
  }
  const auto again = parse_session_cache(write_session_cache(cache, now).expose(), now);
  holds(again && again->size() == cache.size() && cache.size() <= sessions);
}

}  // namespace

FUZZ_TARGET(data, size) {
  try_parse(bytes_of(data, size));
  std::vector<std::byte> summed(bytes_of(data, size).begin(), bytes_of(data, size).end());
  summed.resize(size + SHA256_DIGEST_LENGTH);
  SHA256(data, size, reinterpret_cast<unsigned char*>(summed.data() + size));
  try_parse(summed);
  return 0;
}
