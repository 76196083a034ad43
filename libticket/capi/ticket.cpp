// <ticket/ticket.h>.
#include <ticket/ticket.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "capi/door.hpp"
#include "capi/handle.hpp"
#include "ring/ring_state.hpp"

namespace ticket::capi {
namespace {

// An agent that has not written for this long is gone, as far as people care.
constexpr seconds silent_agent{60};

std::unique_ptr<Clock> make_clock(const tkt_ring_options& options) {
  if (options.clock == nullptr) return std::make_unique<SystemClock>();
  return std::make_unique<CallbackClock>(options.clock, options.clock_user);
}

// web.counters beside web.ring; PATH.counters for any other name.
std::filesystem::path counters_path(const tkt_ring_options& options) {
  if (options.counters_path != nullptr) return options.counters_path;
  std::filesystem::path path = options.ring_path;
  if (path.extension() == ".ring") return path.replace_extension(".counters");
  return path += ".counters";
}

ring::LiveRing::Options live_options(const tkt_ring_options& options, const tkt_ring& handle) {
  ring::LiveRing::Options live;
  live.path = options.ring_path;
  live.counters = counters_path(options);
  live.clock = handle.clock.get();
  live.log = [&handle](int level, const std::string& text) {
    handle.say(static_cast<tkt_log_level>(level), text.c_str());
  };
  return live;
}

std::unique_ptr<tkt_ring> open_ring(const tkt_ring_options& options) {
  auto handle = std::make_unique<tkt_ring>();
  handle->log = options.log;
  handle->log_user = options.log_user;
  handle->clock = make_clock(options);
  handle->live = std::make_unique<ring::LiveRing>(live_options(options, *handle));
  if (options.no_thread == 0) handle->tender = std::make_unique<Tender>(*handle->live);
  return handle;
}

void copy_text(std::string_view from, std::span<char> to) {
  const std::size_t size = std::min(from.size(), to.size() - 1);
  std::copy_n(from.data(), size, to.data());
  to[size] = '\0';
}

std::int64_t unix_time(sys_seconds time) { return time.time_since_epoch().count(); }

static_assert(TKT_RING_OK == static_cast<int>(ring::RingState::ok) &&
              TKT_RING_NONE == static_cast<int>(ring::RingState::none));

// What holds of the ring, for people; the gravest first.
std::string explanation(const ring::LiveRing::Status& status, tkt_ring_state state, Moment now) {
  if (status.file != ring::RingFileState::ok) return ring::to_text(status.file);
  if (state == TKT_RING_STOPPED) return "no epoch may seal: no tickets are sent";
  if (state == TKT_RING_STRETCHED) return "nothing newer came: the last epoch is stretched";
  const seconds silence = now.steady - status.heartbeat;
  if (silence <= silent_agent) return "ok";
  return "the agent last wrote " + std::to_string(silence.count()) + " s ago";
}

// Reads what a snapshot holds. The pin ends here: what follows may block.
tkt_ring_info read_snapshot(const tkt_ring& handle, Moment now) {
  tkt_ring_info info{};
  const ring::LiveRing::Pin snapshot(*handle.live);
  if (!snapshot) {
    info.state = TKT_RING_NONE;
    return info;
  }
  const ring::Ring& ring = snapshot->ring;
  const auto* sealing = ring::sealing_epoch(ring.epochs, ring.policy.stretch, now);
  info.state = static_cast<tkt_ring_state>(ring::state_of(sealing, now));
  info.generation = ring.generation;
  info.sealing_epoch = sealing == nullptr ? 0 : sealing->number;
  info.epochs = static_cast<std::uint32_t>(ring.epochs.size());
  info.member = ring.member;
  copy_text(ring.pool, info.pool);
  return info;
}

tkt_ring_info read_info(const tkt_ring& handle) {
  const Moment now = handle.live->now();
  if (handle.live->due(now)) handle.live->tend(now);
  tkt_ring_info info = read_snapshot(handle, now);
  const auto status = handle.live->status();
  info.heartbeat = unix_time(status.heartbeat);
  info.next_change = unix_time(status.next_change);
  copy_text(explanation(status, info.state, now), info.why);
  return info;
}

tkt_counters read_counters(const tkt_ring& handle) {
  using ring::Counter;
  const ring::Counts counts = handle.live->counters().own();
  const auto count = [&](Counter counter) { return counts[static_cast<std::size_t>(counter)]; };
  tkt_counters counters{};
  counters.sealed = count(Counter::sealed);
  counters.not_sealed = count(Counter::not_sealed);
  counters.resumed_announced = count(Counter::resumed_announced);
  counters.resumed_sealing = count(Counter::resumed_sealing);
  counters.resumed_opening = count(Counter::resumed_opening);
  counters.unknown_key = count(Counter::unknown_key);
  counters.context = count(Counter::context);
  counters.expired = count(Counter::expired);
  counters.forged = count(Counter::forged);
  counters.malformed = count(Counter::malformed);
  counters.lineage = count(Counter::lineage);
  counters.revoked = count(Counter::revoked);
  counters.name = count(Counter::name);
  return counters;
}

auto reporter(const tkt_ring* handle) {
  return [handle](const char* what) { handle->say(TKT_LOG_ERROR, what); };
}

}  // namespace
}  // namespace ticket::capi

using namespace ticket::capi;

tkt_status tkt_ring_open(tkt_ring** out, const tkt_ring_options* given) {
  if (out == nullptr) return TKT_BAD_ARGUMENT;
  *out = nullptr;
  tkt_ring_options options{};
  if (!take_options(given, &options) || options.ring_path == nullptr) return TKT_BAD_ARGUMENT;

  const auto report = [&](const char* what) {
    if (options.log != nullptr) options.log(options.log_user, TKT_LOG_ERROR, what);
  };
  return guarded(report, [&] {
    *out = open_ring(options).release();
    return TKT_OK;
  });
}

void tkt_ring_free(tkt_ring* ring) { delete ring; }

tkt_status tkt_ring_tend(tkt_ring* ring, int64_t* next) {
  if (ring == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(reporter(ring), [&] {
    const auto when = ring->live->tend(ring->live->now());
    if (next != nullptr) *next = unix_time(when);
    return TKT_OK;
  });
}

tkt_status tkt_ring_info_read(tkt_ring* ring, tkt_ring_info* info) {
  if (ring == nullptr || !can_take(info)) return TKT_BAD_ARGUMENT;
  return guarded(reporter(ring), [&] { return give_result(read_info(*ring), info); });
}

tkt_status tkt_counters_read(const tkt_ring* ring, tkt_counters* counters) {
  if (ring == nullptr || !can_take(counters)) return TKT_BAD_ARGUMENT;
  return guarded(reporter(ring), [&] { return give_result(read_counters(*ring), counters); });
}

const char* tkt_version(void) { return TICKET_VERSION; }

const char* tkt_status_text(tkt_status status) {
  switch (status) {
    case TKT_OK:
      return "ok";
    case TKT_MALFORMED:
      return "malformed";
    case TKT_UNKNOWN_KEY:
      return "unknown key";
    case TKT_CONTEXT:
      return "other context";
    case TKT_EXPIRED:
      return "expired";
    case TKT_FORGED:
      return "forged";
    case TKT_LINEAGE:
      return "lineage ended";
    case TKT_REVOKED:
      return "revoked";
    case TKT_NAME:
      return "other name";
    case TKT_NO_KEY:
      return "no key may seal";
    case TKT_BUFFER_TOO_SMALL:
      return "buffer too small";
    case TKT_BAD_ARGUMENT:
      return "bad argument";
    case TKT_OUT_OF_MEMORY:
      return "out of memory";
    case TKT_INTERNAL:
      return "internal error";
  }
  return "no such status";
}
