// Which pool a server belongs to.
#pragma once

#include <string_view>
#include <vector>

#include "client/key_table.hpp"
#include "client/manifest.hpp"

namespace ticket::client {

// What a pool is called in this client, by who says so: "manifest:web", "dns:web",
// "host:a.example:443". So an id from DNS, which anybody can publish, never means a
// pool of the manifest.
using Pool = Name;

Pool pool_of_manifest(std::string_view id);
Pool pool_of_dns(std::string_view id);
// What nobody says anything of: a pool of one server.
Pool pool_alone(const Server& server);
bool is_alone(const Pool& pool);
bool is_of_manifest(const Pool& pool);

// A manifest made ready for lookups. Immutable, so safe to share between threads.
class PoolMap {
 public:
  PoolMap() = default;
  explicit PoolMap(const ClientManifest& manifest);

  // The pool of a server; nullptr when the manifest does not have it, or is over.
  const Pool* find(const Server& server, sys_seconds now) const;

  std::size_t size() const { return names_.size() + servers_.size(); }
  sys_seconds expires() const { return expires_; }

 private:
  KeyTable names_, servers_;  // numbers of pools_
  std::vector<Pool> pools_;
  sys_seconds expires_{};
};

}  // namespace ticket::client
