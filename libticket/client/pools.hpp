// Which pool a server belongs to, from all that is known.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "client/pool_dns.hpp"
#include "client/pool_map.hpp"

namespace ticket::client {

// The manifest's word goes before that of DNS; a server that neither knows is alone.
// Any thread. A manifest is swapped as a whole, and readers on different threads seldom
// share a lock: an atomic shared pointer costs three times as much here.
class Pools {
 public:
  explicit Pools(std::unique_ptr<PoolDns> dns) : dns_(std::move(dns)) { use({}); }

  void use(std::shared_ptr<const PoolMap> map);

  // Does not wait for DNS longer than `patience`.
  Pool find(const Server& server, sys_seconds now,
            std::chrono::milliseconds patience = std::chrono::milliseconds(0)) const;

  // Ends what asks DNS.
  void stop() {
    if (dns_) dns_->stop();
  }
  DnsCounts dns_counts() const { return dns_ ? dns_->counts() : DnsCounts{}; }
  // A number for the manifest that is in use; another one for each, 0 while it is swapped.
  // What a manifest said under the same number before and after, it still says.
  std::uint64_t word() const;

  // Names and servers in the manifest; 0 once it is over.
  std::size_t manifest_size(sys_seconds now) const;

 private:
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::shared_ptr<const PoolMap> map;
  };
  const Stripe& mine() const;

  std::unique_ptr<PoolDns> dns_;
  std::array<Stripe, 16> stripes_;
  std::mutex swapping_;
  std::atomic<std::uint64_t> word_{0};  // odd while it is swapped
};

}  // namespace ticket::client
