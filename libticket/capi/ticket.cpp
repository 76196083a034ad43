// <ticket/ticket.h>.
#include <ticket/ticket.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "capi/door.hpp"
#include "capi/handle.hpp"
#include "ring/embedded.hpp"
#include "ring/generation.hpp"
#include "ring/ring_state.hpp"
#include "wire/layout.hpp"

namespace ticket::capi {
namespace {

// An agent that has not written for this long is gone, as far as people care.
constexpr seconds silent_agent{60};

template <class Options>
std::unique_ptr<Clock> make_clock(const Options& options) {
  if (options.clock == nullptr) return std::make_unique<SystemClock>();
  return std::make_unique<CallbackClock>(options.clock, options.clock_user);
}

// web.counters beside web.ring; PATH.counters for any other name.
std::filesystem::path beside(std::filesystem::path ring, const char* ending) {
  if (ring.extension() == ".ring") return ring.replace_extension(ending);
  return ring += ending;
}

template <class Options>
std::filesystem::path counters_path(const Options& options) {
  if (options.counters_path != nullptr) return options.counters_path;
  return beside(options.ring_path, ".counters");
}

// A handle with what both kinds of ring have alike: log and clock.
template <class Options>
std::unique_ptr<tkt_ring> make_handle(const Options& options) {
  auto handle = std::make_unique<tkt_ring>();
  handle->log = options.log;
  handle->log_user = options.log_user;
  handle->clock = make_clock(options);
  if (options.ring_path != nullptr) handle->early_folder = beside(options.ring_path, ".early");
  return handle;
}

std::function<void(int, const std::string&)> log_of(const tkt_ring& handle) {
  return [&handle](int level, const std::string& text) {
    handle.say(static_cast<tkt_log_level>(level), text.c_str());
  };
}

void start(tkt_ring& handle, ring::LiveRing::Options live, bool no_thread) {
  live.clock = handle.clock.get();
  live.log = log_of(handle);
  handle.path = live.path;
  handle.live = std::make_unique<ring::LiveRing>(std::move(live));
  if (!no_thread) handle.tender = std::make_unique<Tender>(*handle.live);
}

std::unique_ptr<tkt_ring> open_ring(const tkt_ring_options& options) {
  auto handle = make_handle(options);
  ring::LiveRing::Options live;
  live.path = options.ring_path;
  live.counters = counters_path(options);
  start(*handle, std::move(live), options.no_thread != 0);
  return handle;
}

// ---- embedded

seconds seconds_or(std::uint32_t given, seconds otherwise) {
  return given == 0 ? otherwise : seconds(given);
}

// keyd's defaults. One host needs no time to be told of a key: the next one is all
// that is made ahead.
ring::Policy policy_of(const tkt_embed_options& options) {
  ring::Policy policy;
  policy.rotate_every = seconds_or(options.rotate_every, policy.rotate_every);
  policy.lifetime = seconds_or(options.lifetime, policy.lifetime);
  policy.lineage = seconds_or(options.lineage, policy.lineage);
  policy.publish_ahead = policy.rotate_every;
  policy.stretch = policy.lifetime;
  return policy;
}

// Why no pool can be as these options say; nullopt when one can.
std::optional<std::string> objection(const tkt_embed_options& options, const ring::Policy& policy) {
  const std::string_view pool = options.pool == nullptr ? "" : options.pool;
  if (pool.empty() || pool.size() > wire::max_name_size) return "pool: a name of 1-255 bytes";
  return ring::problem(policy);
}

void make_counters(const std::filesystem::path& path, const tkt_ring& handle) {
  try {
    ring::Counters::create(path);
  } catch (const std::exception& failure) {
    handle.say(TKT_LOG_WARNING, failure.what());  // each process then counts alone
  }
}

std::unique_ptr<tkt_ring> embed_ring(const tkt_embed_options& options, const ring::Policy& policy) {
  auto handle = make_handle(options);
  handle->clock = std::make_unique<FollowingClock>(
      std::move(handle->clock), ring::tolerance_alone(policy), [&handle = *handle](seconds ahead) {
        const auto text = "the clock was set " + ring::to_text(ahead) + " ahead: keys follow it";
        handle.say(TKT_LOG_WARNING, text.c_str());
      });
  ring::LiveRing::Options live;
  if (options.ring_path == nullptr) {
    live.path = options.pool;
    live.source = std::make_unique<ring::MemoryPool>(options.pool, policy);
  } else {
    live.path = options.ring_path;
    live.counters = counters_path(options);
    make_counters(live.counters, *handle);
    live.source =
        std::make_unique<ring::FilePool>(options.ring_path, options.pool, policy, log_of(*handle));
  }
  start(*handle, std::move(live), options.no_thread != 0);
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
  if (!status.trouble.empty()) return status.trouble;
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

tkt_status tkt_ring_embed(tkt_ring** out, const tkt_embed_options* given) {
  if (out == nullptr) return TKT_BAD_ARGUMENT;
  *out = nullptr;
  tkt_embed_options options{};
  if (!take_options(given, &options)) return TKT_BAD_ARGUMENT;

  const auto report = [&](const char* what) {
    if (options.log != nullptr) options.log(options.log_user, TKT_LOG_ERROR, what);
  };
  return guarded(report, [&] {
    const auto policy = policy_of(options);
    if (const auto why = objection(options, policy)) {
      report(("tkt_ring_embed: " + *why).c_str());
      return TKT_BAD_ARGUMENT;
    }
    *out = embed_ring(options, policy).release();
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
