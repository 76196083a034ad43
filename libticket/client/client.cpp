#include "client/client.hpp"

#include <pthread.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace ticket::client {

namespace {

constexpr std::size_t most_counted_pools = 4096;

// A longer one is offered to nobody: with 64 KB no ClientHello can be made, and servers and
// what stands before them end handshakes for less. What a bad one sent would cost the others.
constexpr std::size_t longest_ticket = 8192;

std::unique_ptr<PoolDns> resolver(const ClientOptions& options) {
  if (!options.dns) return nullptr;
  return std::make_unique<PoolDns>(options.dns_server, options.clock);
}

std::string unix_time(sys_seconds time) { return std::to_string(time.time_since_epoch().count()); }

}  // namespace

Client::Client(ClientOptions options)
    : options_(std::move(options)),
      pools_(resolver(options_)),
      cache_(options_.limits),
      doubts_(options_.doubt_after),
      file_(options_.cache_path) {
  load();
}

void Client::load() {
  const auto why = file_.load(options_.clock(), [this](CachedSession&& cached) {
    put(cached.partition, cached.pool, std::move(cached.session));
  });
  if (!why.empty()) log(LogLevel::warning, "cache file " + options_.cache_path + ": " + why);
}

tl::expected<void, std::string> Client::use_manifest(std::string_view text) {
  if (inherited()) return {};
  const auto manifest = parse_client_manifest(text);
  if (!manifest) return tl::unexpected(manifest.error());
  if (const auto now = options_.clock(); manifest->expires <= now) {
    return tl::unexpected("\"expires\": over since " + unix_time(manifest->expires) + ", it is " +
                          unix_time(now) + " now");
  }
  pools_.use(std::make_shared<const PoolMap>(*manifest));
  return {};
}

// A server in doubt is alone.
Client::Place Client::place_of(const Server& server, sys_seconds now,
                               std::chrono::milliseconds patience) {
  const auto word = pools_.word();
  auto pool = pools_.find(server, now, patience);
  if (!is_alone(pool) && doubts_.holds(server, pool, now)) return {pool_alone(server), 0};
  const bool vouched = is_of_manifest(pool) && pools_.word() == word;
  return {std::move(pool), vouched ? word : 0};
}

// Whether the session's server is of the pool now, too.
bool Client::is_there(const Session& session, const Place& place, sys_seconds now) {
  if (place.word != 0 && session.vouched == place.word) {
    return !doubts_.holds(session.server, place.pool, now);
  }
  return place_of(session.server, now, std::chrono::milliseconds(0)).pool == place.pool;
}

// Whether the next process will not offer it too.
bool Client::may_go(const Session& session) {
  if (!session.once() || file_.spoil()) return true;
  if (!told_.exchange(true)) {
    log(LogLevel::warning, "cache file " + options_.cache_path +
                               ": cannot be removed, so no TLS 1.3 session is offered");
  }
  return false;
}

SessionCache::Found Client::look(const Name& partition, const Place& place, const Target& target,
                                 sys_seconds now) {
  const auto judge = [&](const Session& session) {
    const bool there = session.server == target.server || is_there(session, place, now);
    const auto verdict =
        there ? may_offer(session, target, options_.any_name, now) : Verdict::moved;
    return verdict != Verdict::yes || may_go(session) ? verdict : Verdict::file_stands;
  };
  return cache_.take(partition, place.pool, std::ref(judge));  // by itself it needs memory
}

Offer Client::offer(const Name& partition, const Target& target) {
  if (closed()) return {pool_alone(target.server), std::nullopt, Verdict::none};
  const auto now = options_.clock();
  auto place = place_of(target.server, now, options_.dns_wait);
  add(Count::prepared);
  if (doubts_.take_failure(target.server, now)) {
    return {std::move(place.pool), std::nullopt, Verdict::after_failure};
  }
  if (target.store_to_come && stores_differ_) {
    return {std::move(place.pool), std::nullopt, Verdict::verify};
  }
  auto found = look(partition, place, target, now);
  if (!found.session && !is_alone(place.pool)) {
    // what came before anybody said that it has a pool
    auto alone = look(partition, {pool_alone(target.server), 0}, target, now);
    if (alone.why != Verdict::none) found = std::move(alone);
  }
  const bool copied = !found.session || found.session->session;  // else memory is short
  if (!copied) found = {};
  return {std::move(place.pool), std::move(found.session), found.why};
}

void Client::keep(const Name& partition, Session session) {
  if (closed()) return;
  const auto now = options_.clock();
  if (!session.session || !session.lineage) return;
  if (ticket_size(session.session.get()) > longest_ticket) return;
  const auto place = place_of(session.server, now, std::chrono::milliseconds(0));
  session.vouched = place.word;
  if (put(partition, place.pool, std::move(session))) add(Count::stored);
}

// However young its ticket, a session ends with its lineage (RFC 8446, 4.6.1).
bool Client::put(const Name& partition, const Pool& pool, Session session) {
  session.expires = std::min(session.expires, session.lineage->born + options_.lineage);
  if (session.expires <= options_.clock()) return false;
  cache_.put(partition, pool, std::move(session));
  return true;
}

void Client::conclude(const Server& server, const Pool& pool, const Server* ticket_of, End end) {
  if (ticket_of == nullptr || closed()) return;
  const bool other = *ticket_of != server;
  add(Count::offered);
  if (other) add(Count::offered_other);
  add(pool, end);
  if (end == End::failed) {
    add(Count::failed);
    if (doubts_.failed(server, pool, other, options_.clock())) {
      add(Count::doubted);
      log(LogLevel::warning, server.text() + " ended a handshake that offered a ticket of " +
                                 pool.text() + ": it is on its own for a time");
    }
  } else if (end == End::silent || end == End::unmade || end == End::abandoned) {
    add(Count::failed);
    if (end == End::silent) doubts_.silent(server, options_.clock());
    if (end == End::unmade) doubts_.skip_next(server);
  } else if (end == End::resumed) {
    add(Count::resumed);
    if (other) add(Count::resumed_other);
    doubts_.resumed(server, pool, other);
  } else {
    add(Count::refused);
    if (other && doubts_.refused(server, pool, options_.clock())) {
      add(Count::doubted);
      log(LogLevel::warning,
          server.text() + " takes no tickets of " + pool.text() + ": it is on its own for a time");
    }
  }
}

void Client::note_store(const StoreSettings& store) {
  if (closed() || stores_differ_) return;
  const std::lock_guard guard(store_mutex_);
  if (!store_) store_ = store;
  if (*store_ == store || stores_differ_.exchange(true)) return;
  log(LogLevel::warning,
      "libcurl handles with and without CURLOPT_CRLFILE, or CURLSSLOPT_NO_PARTIALCHAIN, share "
      "a client: nothing is offered from here on; give each kind a client of its own");
}

std::optional<StoreSettings> Client::likely_store() const {
  if (closed()) return std::nullopt;
  const std::lock_guard guard(store_mutex_);
  return store_;
}

void Client::save() {
  if (inherited()) return;  // the file is the parent's
  file_.save(options_.clock(), cache_);
}

unsigned Client::process() {
  static std::atomic<unsigned> forks{0};
  [[maybe_unused]] static const int watched = pthread_atfork(nullptr, nullptr, [] { ++forks; });
  return forks.load(std::memory_order_relaxed);
}

void Client::close() {
  if (closed()) return;
  try {
    save();
  } catch (const std::system_error& failure) {
    log(LogLevel::warning, "cache file " + std::string(failure.what()));
  } catch (...) {
    // no memory: then nothing outlives this process
  }
  closed_ = true;  // from here on neither log nor clock are called
  cache_.clear();
  file_.release();
  pools_.stop();
}

void Client::add(Count which) {
  static std::atomic<unsigned> threads{0};
  thread_local const unsigned number = threads++;
  counters_[number % counters_.size()].values[static_cast<std::size_t>(which)].fetch_add(
      1, std::memory_order_relaxed);
}

void Client::add(const Pool& pool, End end) {
  if (is_alone(pool)) return;
  const std::lock_guard guard(pool_counts_mutex_);
  if (pool_counts_.size() >= most_counted_pools && !pool_counts_.contains(pool.text())) {
    return;
  }
  auto& counts = pool_counts_[pool.text()];
  ++counts.offered;
  ++(end == End::resumed ? counts.resumed : end == End::full ? counts.refused : counts.failed);
}

std::uint64_t Client::count(Count which) const {
  std::uint64_t sum = 0;
  for (const auto& counters : counters_) {
    sum += counters.values[static_cast<std::size_t>(which)].load(std::memory_order_relaxed);
  }
  return sum;
}

std::map<std::string, PoolCounts> Client::pool_counts() const {
  if (inherited()) return {};
  const std::lock_guard guard(pool_counts_mutex_);
  return pool_counts_;
}

}  // namespace ticket::client
