// Which pool a server belongs to.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "client/manifest.hpp"

namespace ticket::client {

// What a pool is called in this client, by who says so: "manifest:web", "dns:web",
// "host:a.example:443". So an id from DNS, which anybody can publish, never means a
// pool of the manifest.
using Pool = std::string;

Pool pool_of_manifest(std::string_view id);
Pool pool_of_dns(std::string_view id);
// What nobody says anything of: a pool of one server.
Pool pool_alone(const Server& server);
bool is_alone(std::string_view pool);

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
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Table = std::unordered_map<std::string, Pool, Hash, std::equal_to<>>;

  Table names_, servers_;
  sys_seconds expires_{};
};

}  // namespace ticket::client
