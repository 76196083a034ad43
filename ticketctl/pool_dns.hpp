// A pool as DNS records: `_tls-pool.NAME TXT "v=1 pool=ID"` (docs/client-manifest.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/manifest.hpp"

namespace ticketctl {

struct TextRecord {
  std::string name;  // without a dot at its end
  std::string text;
};

struct PoolRecords {
  std::vector<TextRecord> records;
  std::vector<std::string> left_out;  // what DNS cannot say, in words
};

// Those of the manifest's pool `id`. A host that another pool has on another port is left
// out: DNS knows no ports, and clients take neither of two records.
PoolRecords records_of(const ticket::client::ClientManifest& manifest, const std::string& id);

// RFC 1035, section 5.1.
std::string zone_line(const TextRecord& record, std::uint32_t ttl);

// Seconds, 0 to 2^31 - 1 (RFC 2181, section 8). Throws CommandError.
std::uint32_t parse_ttl(const std::string& text);

}  // namespace ticketctl
