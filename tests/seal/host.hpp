// A server of a pool for tests of tkt_seal and tkt_open: a ring file with known
// secrets, a clock that tests turn.
#pragma once

#include <doctest/doctest.h>
#include <ticket/ticket.h>

#include <memory>
#include <string>
#include <vector>

#include "support/rings.hpp"

namespace seal_test {

using namespace ticket::test;
using ticket::seconds;
using ticket::sys_seconds;
using Ticket = std::vector<unsigned char>;

struct FreeRing {
  void operator()(tkt_ring* ring) const { tkt_ring_free(ring); }
};
using RingPtr = std::unique_ptr<tkt_ring, FreeRing>;

struct Clock {
  sys_seconds steady = noon, wall = noon;
  void pass(seconds time) { steady += time, wall += time; }
  static void read(void* user, std::int64_t* steady, std::int64_t* wall) {
    *steady = static_cast<Clock*>(user)->steady.time_since_epoch().count();
    *wall = static_cast<Clock*>(user)->wall.time_since_epoch().count();
  }
};

struct Opened {
  tkt_status status = TKT_INTERNAL;
  std::string payload;
  tkt_opened label{};
};

class Host {
 public:
  explicit Host(Clock& clock, std::uint16_t member = 1) : member_(member) {
    const auto name = path.string();
    tkt_ring_options options{};
    options.size = sizeof options;
    options.ring_path = name.c_str();
    options.no_thread = 1;
    options.clock = Clock::read;
    options.clock_user = &clock;
    tkt_ring* opened = nullptr;
    REQUIRE(tkt_ring_open(&opened, &options) == TKT_OK);
    ring.reset(opened);
  }

  // Epochs first..last, an hour each, the first from noon.
  void publish(std::uint32_t first, std::uint32_t last) { publish(hourly(first, last)); }
  void publish(std::vector<ticket::ring::Epoch> epochs) {
    auto made = ring_of(std::move(epochs), ++generation_, member_);
    made.policy = policy;
    made.revocations = revocations;
    REQUIRE(ticket::ring::RingWriter(path, "web").publish(made, noon).has_value());
    tkt_ring_tend(ring.get(), nullptr);
  }

  tkt_context* context(const char* name = nullptr, const char* purpose = nullptr) const {
    tkt_context* context = nullptr;
    REQUIRE(tkt_ring_context(ring.get(), purpose, name, &context) == TKT_OK);
    return context;
  }

  tkt_counters counters() const {
    tkt_counters counters{};
    counters.size = sizeof counters;
    tkt_counters_read(ring.get(), &counters);
    return counters;
  }

  TempFolder folder;
  std::filesystem::path path = folder / "web.ring";
  ticket::ring::Policy policy;
  std::vector<ticket::ring::Revocation> revocations;
  RingPtr ring;

 private:
  std::uint16_t member_;
  std::uint64_t generation_ = 0;
};

// Empty when it was not sealed; `status` says why.
inline Ticket seal(tkt_context* context, const std::string& payload, tkt_seal_options options = {},
                   tkt_status* status = nullptr) {
  options.size = sizeof options;
  Ticket ticket(tkt_seal_size(payload.size()));
  std::size_t size = ticket.size();
  const auto sealed =
      tkt_seal(context, ticket.data(), &size, payload.data(), payload.size(), &options);
  if (status != nullptr) *status = sealed;
  if (sealed == TKT_OK) CHECK(size == ticket.size());
  ticket.resize(size);
  return ticket;
}

inline Opened open(tkt_context* context, const Ticket& ticket) {
  Opened result;
  result.label.size = sizeof result.label;
  result.payload.resize(tkt_open_size(ticket.size()));
  std::size_t size = result.payload.size();
  result.status =
      tkt_open(context, result.payload.data(), &size, ticket.data(), ticket.size(), &result.label);
  result.payload.resize(size);
  return result;
}

}  // namespace seal_test
