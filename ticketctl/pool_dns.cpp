#include "pool_dns.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "command.hpp"

namespace ticketctl {

using ticket::client::ClientManifest;
using ticket::client::PoolEntry;

namespace {

constexpr std::size_t longest_name = 253;    // RFC 1035, section 2.3.4, as text
constexpr std::size_t longest_string = 255;  // of a TXT record, in bytes
constexpr std::uint32_t longest_ttl = 0x7fffffff;

bool has(const PoolRecords& found, const std::string& name) {
  return std::ranges::count(found.records, name, &TextRecord::name) != 0;
}

std::set<std::string> hosts_of_others(const ClientManifest& manifest, const std::string& id) {
  std::set<std::string> hosts;
  for (const auto& pool : manifest.pools) {
    if (pool.id == id) continue;
    hosts.insert(pool.names.begin(), pool.names.end());
    for (const auto& server : pool.servers) hosts.emplace(server.host());
  }
  return hosts;
}

}  // namespace

PoolRecords records_of(const ClientManifest& manifest, const std::string& id) {
  PoolRecords found;
  const auto& pool = *std::ranges::find(manifest.pools, id, &PoolEntry::id);
  const auto others = hosts_of_others(manifest, id);
  const auto text = "v=1 pool=" + pool.id;
  if (text.size() > longest_string) {
    found.left_out.push_back("the id of the pool is too long for DNS: at most 246 characters");
    return found;
  }
  const auto add = [&](const std::string& host) {
    const auto name = "_tls-pool." + host;
    if (others.contains(host)) {
      found.left_out.push_back(host + ": another pool has it too, and DNS knows no ports");
    } else if (name.size() > longest_name) {
      found.left_out.push_back(host + ": too long a name to have another before it");
    } else if (!has(found, name)) {
      found.records.push_back({name, text});
    }
  };
  for (const auto& name : pool.names) add(name);
  for (const auto& server : pool.servers) {
    if (server.is_address()) {
      found.left_out.push_back(server.text() + ": an address has no record of its own");
      continue;
    }
    found.left_out.push_back(server.text() + ": in DNS it holds on every port");
    add(std::string(server.host()));
  }
  return found;
}

std::string zone_line(const TextRecord& record, std::uint32_t ttl) {
  std::string quoted;
  for (const char c : record.text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return record.name + ". " + std::to_string(ttl) + " IN TXT \"" + quoted + "\"";
}

std::uint32_t parse_ttl(const std::string& text) {
  std::uint32_t ttl = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ttl);
  if (error != std::errc() || end != text.data() + text.size() || ttl > longest_ttl) {
    throw bad_input("--ttl " + text + ": seconds, 0 to 2147483647");
  }
  return ttl;
}

}  // namespace ticketctl
