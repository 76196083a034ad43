// capi/core.h: what the stack libraries ask of a ring, one pin a call.
#include "capi/core.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string_view>

#include "capi/door.hpp"
#include "capi/handle.hpp"
#include "crypto/random.hpp"
#include "crypto/short_hash.hpp"
#include "replay/flights.hpp"
#include "wire/ticket_data.hpp"

static_assert(TKT_CORE_ATTRIBUTION_SIZE == ticket::wire::max_ticket_data_size);
static_assert(TKT_FLIGHT_UNKNOWN == static_cast<int>(ticket::replay::FlightVerdict::unknown));
static_assert(TKT_COUNT_NAME == static_cast<int>(ticket::ring::Counter::name) &&
              TKT_COUNT_SEALED == static_cast<int>(ticket::ring::Counter::sealed));

namespace ticket::capi {
namespace {

using Pin = ring::LiveRing::Pin;

Moment moment(tkt_core_time time) {
  return Moment(sys_seconds(seconds(time.steady)), sys_seconds(seconds(time.latest)));
}

sys_seconds point(std::int64_t time) { return sys_seconds(seconds(time)); }

tkt_core_epoch describe(const Pin& snapshot, const ring::ContextKeys& keys, const ring::Stek& stek,
                        Moment now) {
  const ring::Ring& ring = snapshot->ring;
  return {.number = stek.epoch->number,
          .sealing = keys.sealing(now) == &stek,
          .announced = stek.epoch->seals_from > now.steady,
          .opens_until = stek.epoch->opens_until.time_since_epoch().count(),
          .lifetime = static_cast<std::uint32_t>(ring.policy.lifetime.count()),
          .lineage = static_cast<std::uint32_t>(ring.policy.lineage.count()),
          .attributed_only = ring.policy.unattributed == ring::Unattributed::refuse,
          .member = ring.member};
}

wire::Attribution from_c(const tkt_core_attribution& c) {
  wire::Attribution attribution;
  attribution.minter = c.minter;
  attribution.born = point(c.born);
  attribution.sealed = point(c.sealed);
  std::memcpy(attribution.name_hash.data(), c.name_hash, attribution.name_hash.size());
  return attribution;
}

}  // namespace
}  // namespace ticket::capi

using namespace ticket;
using namespace ticket::capi;

tkt_core_time tkt_core_now(tkt_ring* ring) {
  const Moment now = ring->live->now();
  if (ring->live->due(now)) tkt_ring_tend(ring, nullptr);
  return {.steady = now.steady.time_since_epoch().count(),
          .latest = now.latest.time_since_epoch().count()};
}

int tkt_core_context(tkt_ring* ring, const char* purpose, const char* context) {
  int number = -1;
  const auto report = [ring](const char* what) { ring->say(TKT_LOG_ERROR, what); };
  guarded(report, [&] {
    number = ring->live->context(purpose, context);
    return TKT_OK;
  });
  return number;
}

tkt_status tkt_core_sealing(tkt_ring* ring, int context, tkt_core_time time,
                            tkt_core_epoch* epoch) {
  const Moment now = moment(time);
  const Pin snapshot(*ring->live);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->sealing(now);
  if (stek == nullptr) return TKT_NO_KEY;
  *epoch = describe(snapshot, *keys, *stek, now);
  return TKT_OK;
}

tkt_status tkt_core_seal(tkt_ring* ring, int context, uint32_t number, unsigned char* key_name,
                         unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  if (!crypto::draw_iv(iv)) return TKT_NO_KEY;
  const Pin snapshot(*ring->live);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->by_epoch(number);
  if (stek == nullptr || !stek->cipher.start_seal(cipher, mac, iv)) return TKT_NO_KEY;
  std::memcpy(key_name, stek->name.data(), stek->name.size());
  return TKT_OK;
}

tkt_status tkt_core_open(tkt_ring* ring, int context, tkt_core_time time,
                         const unsigned char* key_name, const unsigned char* iv,
                         EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, tkt_core_epoch* epoch) {
  const Moment now = moment(time);
  const Pin snapshot(*ring->live);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->find(key_name);
  if (stek == nullptr) {
    return snapshot ? status_of(snapshot->why_unknown(key_name)) : TKT_UNKNOWN_KEY;
  }
  *epoch = describe(snapshot, *keys, *stek, now);
  if (now.latest >= stek->epoch->opens_until) return TKT_EXPIRED;
  return stek->cipher.start_open(cipher, mac, iv) ? TKT_OK : TKT_UNKNOWN_KEY;
}

size_t tkt_core_attribution_write(const tkt_core_attribution* from,
                                  unsigned char out[TKT_CORE_ATTRIBUTION_SIZE]) {
  wire::TicketData data{from_c(*from), {}};
  std::memcpy(data.table.data(), from->table, data.table.size());
  return wire::write_ticket_data(
      data, std::as_writable_bytes(std::span<unsigned char, TKT_CORE_ATTRIBUTION_SIZE>(
                out, TKT_CORE_ATTRIBUTION_SIZE)));
}

tkt_status tkt_core_attribution_parse(const unsigned char* bytes, size_t size,
                                      tkt_core_attribution* to) {
  const auto data = wire::parse_ticket_data(std::as_bytes(std::span(bytes, size)));
  if (!data) return TKT_MALFORMED;
  const auto& attribution = data->attribution;
  to->minter = attribution.minter;
  to->born = attribution.born.time_since_epoch().count();
  to->sealed = attribution.sealed.time_since_epoch().count();
  std::memcpy(to->name_hash, attribution.name_hash.data(), attribution.name_hash.size());
  std::memcpy(to->table, data->table.data(), data->table.size());
  return TKT_OK;
}

tkt_status tkt_core_name_hash(tkt_ring* ring, int context, uint32_t number,
                              const unsigned char* text, size_t size, unsigned char out[8]) {
  const Pin snapshot(*ring->live);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->by_epoch(number);
  if (stek == nullptr) return TKT_NO_KEY;
  const auto hash = crypto::short_hash(stek->name_key, std::as_bytes(std::span(text, size)));
  std::memcpy(out, hash.data(), hash.size());
  return TKT_OK;
}

int tkt_core_is_name_hash(tkt_ring* ring, int context, uint32_t number, const unsigned char* text,
                          size_t size, const unsigned char hash[8]) {
  const Pin snapshot(*ring->live);
  const auto* keys = snapshot.keys(context);
  if (keys == nullptr) return 0;
  const auto is_of = [&](uint32_t epoch) {
    const auto* stek = keys->by_epoch(epoch);
    if (stek == nullptr) return false;
    const auto made = crypto::short_hash(stek->name_key, std::as_bytes(std::span(text, size)));
    return std::memcmp(made.data(), hash, made.size()) == 0;
  };
  return is_of(number) || std::ranges::any_of(snapshot->ring.epochs, is_of, &ring::Epoch::number)
             ? 1
             : 0;
}

tkt_status tkt_core_check(tkt_ring* ring, tkt_core_time time,
                          const tkt_core_attribution* attribution) {
  const Pin snapshot(*ring->live);
  if (!snapshot) return TKT_UNKNOWN_KEY;
  const auto objection = snapshot->ring.objection(from_c(*attribution), moment(time));
  return objection ? status_of(*objection) : TKT_OK;
}

tkt_status tkt_core_keep_flights(tkt_ring* ring, const char* folder, size_t capacity) {
  const auto report = [ring](const char* what) { ring->say(TKT_LOG_ERROR, what); };
  return guarded(report, [&] {
    const std::filesystem::path wanted = folder == nullptr ? ring->early_folder : folder;
    const std::lock_guard guard(ring->naming);
    if (ring->kept_flights) {
      const auto& kept = *ring->kept_flights;
      if (kept.folder() == wanted && kept.capacity() == capacity) return TKT_OK;
      report("early data: a ring has one early_data_folder and one early_data_capacity");
      return TKT_BAD_ARGUMENT;
    }
    ring->kept_flights = std::make_unique<replay::Flights>(replay::Flights::Options{
        .folder = wanted, .capacity = capacity, .log = [ring](int level, const std::string& text) {
          ring->say(static_cast<tkt_log_level>(level), text.c_str());
        }});
    auto* flights = ring->kept_flights.get();
    ring->live->follow(
        [flights](const ring::Ring& now_is, Moment now) { flights->tend(now_is, now); });
    ring->flights = flights;
    return TKT_OK;
  });
}

int tkt_core_flight_table(tkt_ring* ring, uint32_t epoch, unsigned char out[8]) {
  const auto* flights = ring->flights.load(std::memory_order_acquire);
  const auto name = flights == nullptr ? std::nullopt : flights->table_of(epoch);
  if (!name) return 0;
  std::memcpy(out, name->data(), name->size());
  return 1;
}

tkt_core_flight tkt_core_claim_flight(tkt_ring* ring, uint32_t epoch, const unsigned char table[8],
                                      const unsigned char* flight, size_t size) {
  auto* flights = ring->flights.load(std::memory_order_acquire);
  if (flights == nullptr) return TKT_FLIGHT_FOREIGN;
  replay::TableName name;
  std::memcpy(name.data(), table, name.size());
  return static_cast<tkt_core_flight>(
      flights->claim(epoch, name, std::as_bytes(std::span(flight, size))));
}

void tkt_core_count(tkt_ring* ring, tkt_core_counter counter) {
  ring->live->counters().add(static_cast<ring::Counter>(counter));
}

void tkt_core_log(tkt_ring* ring, tkt_log_level level, const char* text) { ring->say(level, text); }
