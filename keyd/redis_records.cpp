#include "redis_records.hpp"

#include <spdlog/spdlog.h>

namespace keyd {

using ticket::seconds;
using ticket::sys_seconds;
using ticket::replay::RedisEpoch;

namespace {

std::string text_of(const Address& address) {
  if (address.port.empty()) return address.host;  // a socket's path
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

template <std::size_t N>
std::optional<ticket::ByteArray<N>> bytes_of(const std::string& text) {
  const auto bytes = ticket::from_hex(text);
  if (!bytes || bytes->size() != N) return std::nullopt;
  return ticket::to_array(ticket::BytesView(*bytes).first<N>());
}

std::optional<RedisEpoch> epoch_of(const MakeSentinel& sentinel) {
  const auto id = bytes_of<16>(sentinel.epoch);
  const auto random = bytes_of<16>(sentinel.value);
  if (!id || !random) return std::nullopt;
  return RedisEpoch{sentinel.pool, *id, *random, sentinel.capacity};
}

}  // namespace

RedisRecords::RedisRecords(boost::asio::io_context& context, Upstream& upstream)
    : context_(context), upstream_(upstream) {}

RedisRecords::~RedisRecords() = default;

void RedisRecords::configure(const std::vector<IssuerSetup>& issuers) {
  std::map<std::string, Store> stores;
  for (const auto& issuer : issuers) {
    if (issuer.redis.empty()) continue;
    Store store{issuer.redis.front(), issuer.redis_durable, nullptr};
    const auto known = stores_.find(issuer.pool);
    const bool stays = known != stores_.end() && known->second.address == store.address &&
                       known->second.durable == store.durable;
    store.watch = stays ? std::move(known->second.watch) : open(issuer.pool, store);
    stores.emplace(issuer.pool, std::move(store));
  }
  stores_ = std::move(stores);
}

std::unique_ptr<RedisWatch> RedisRecords::open(const std::string& pool, const Store& store) {
  ticket::replay::RedisOptions options;
  options.durable = store.durable;
  return std::make_unique<RedisWatch>(
      context_, text_of(store.address), options,
      [pool](spdlog::level::level_enum level, const std::string& text) {
        spdlog::log(level, "pool {}: {}", pool, text);
      },
      [this](const RedisEpoch& epoch, const std::string& why) {
        upstream_.record_lost({epoch.pool, ticket::hex(epoch.id), why});
      });
}

void RedisRecords::make(const MakeSentinel& sentinel) {
  const auto answer = [this, pool = sentinel.pool, epoch = sentinel.epoch](const std::string& why) {
    upstream_.sentinel_made({pool, epoch, why});
  };
  const auto store = stores_.find(sentinel.pool);
  const auto epoch = epoch_of(sentinel);
  if (store == stores_.end() || !epoch) return answer("the front knows no Redis of this pool");
  if (sentinel.over) return store->second.watch->forget(epoch->id);
  // Something may have been spent of it: one made anew would forget that. Only the keeper
  // knows, and no clock does.
  if (!sentinel.make) return store->second.watch->watch(*epoch);
  store->second.watch->make(*epoch, sys_seconds(seconds(sentinel.redeems_until)), answer);
}

}  // namespace keyd
