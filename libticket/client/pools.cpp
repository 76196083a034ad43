#include "client/pools.hpp"

namespace ticket::client {

void Pools::use(std::shared_ptr<const PoolMap> map) {
  if (!map) map = std::make_shared<const PoolMap>();
  const std::lock_guard swapping(swapping_);
  ++word_;
  for (Stripe& stripe : stripes_) {
    const std::lock_guard guard(stripe.mutex);
    stripe.map = map;
  }
  ++word_;
}

std::uint64_t Pools::word() const {
  const auto word = word_.load();
  return word % 2 == 0 ? word : 0;
}

const Pools::Stripe& Pools::mine() const {
  static std::atomic<unsigned> threads{0};
  thread_local const unsigned number = threads++;
  return stripes_[number % stripes_.size()];
}

Pool Pools::find(const Server& server, sys_seconds now, std::chrono::milliseconds patience) const {
  {
    const Stripe& stripe = mine();
    const std::lock_guard guard(stripe.mutex);
    if (const auto* pool = stripe.map->find(server, now)) return *pool;
  }
  if (dns_ && !server.is_address()) {
    if (const auto id = dns_->find(std::string(server.host()), patience)) return pool_of_dns(*id);
  }
  return pool_alone(server);
}

std::size_t Pools::manifest_size(sys_seconds now) const {
  const Stripe& stripe = mine();
  const std::lock_guard guard(stripe.mutex);
  return now < stripe.map->expires() ? stripe.map->size() : 0;
}

}  // namespace ticket::client
