#include <doctest/doctest.h>
#include <ticket/ticket.h>

#include <cstring>
#include <mutex>
#include <thread>
#include <ticket/ticket.hpp>

#include "ring/counters.hpp"
#include "stacks/pool.hpp"

using namespace pool;

namespace {

// Waits for what another thread does; false after some seconds.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

TEST_SUITE("ticket.h") {
  TEST_CASE("info tells what the ring is at") {
    Clock clock;
    Server server("web", 7, clock);
    server.policy.stretch = 1h;
    server.publish({{3, 0h, 1h, 13h}, {4, 1h, 2h, 14h}});
    const auto start = clock.steady.time_since_epoch().count();

    auto info = server.info();
    CHECK(info.state == TKT_RING_OK);
    CHECK(info.generation == 1);
    CHECK(info.sealing_epoch == 3);
    CHECK(info.epochs == 2);
    CHECK(info.member == 7);
    CHECK(info.next_change == start + 3600);
    CHECK(std::string(info.pool) == "test");

    clock.pass(150min);
    info = server.info();
    CHECK(info.state == TKT_RING_STRETCHED);
    CHECK(info.sealing_epoch == 4);
    CHECK(std::string(info.why).find("stretched") != std::string::npos);

    clock.pass(1h);
    CHECK(server.info().state == TKT_RING_STOPPED);
    CHECK(server.info().sealing_epoch == 0);

    clock.pass(24h);
    CHECK(server.info().epochs == 0);
    CHECK(server.info().state == TKT_RING_STOPPED);
  }

  TEST_CASE("an agent that no longer writes is told of") {
    Clock clock;
    Server server("web", 7, clock);
    server.publish(hourly(6));
    server.beat();
    server.tend();
    CHECK(server.why() == "ok");
    CHECK(server.info().heartbeat == clock.steady.time_since_epoch().count());

    clock.pass(5min);

    CHECK(server.why() == "the agent last wrote 300 s ago");
    CHECK(server.info().state == TKT_RING_OK);
  }

  TEST_CASE("structs of an older and of a newer release") {
    Clock clock;
    Server server("web", 7, clock);
    server.publish(hourly(2));

    struct {
      tkt_ring_info info;
      char later[32];
    } newer{};
    std::memset(newer.later, 'x', sizeof newer.later);
    newer.info.size = sizeof newer;
    CHECK(tkt_ring_info_read(server.ring.get(), &newer.info) == TKT_OK);
    CHECK(newer.info.size == sizeof newer);
    CHECK(newer.info.epochs == 2);
    CHECK(newer.later[0] == 'x');

    tkt_ring_info older{};
    older.size = offsetof(tkt_ring_info, epochs);
    CHECK(tkt_ring_info_read(server.ring.get(), &older) == TKT_OK);
    CHECK(older.sealing_epoch == 1);
    CHECK(older.epochs == 0);

    struct {
      tkt_ring_options options;
      std::uint64_t later;
    } options{};
    options.options.size = sizeof options;
    options.options.ring_path = "/nonexistent/x.ring";
    options.options.no_thread = 1;
    tkt_ring* ring = nullptr;
    CHECK(tkt_ring_open(&ring, &options.options) == TKT_OK);
    tkt_ring_free(ring);
    options.later = 1;  // asks for what we cannot do
    CHECK(tkt_ring_open(&ring, &options.options) == TKT_BAD_ARGUMENT);
    CHECK(ring == nullptr);
  }

  TEST_CASE("a thread of its own takes a ring up, and leaves when the ring is freed") {
    Clock clock;
    Server agent("web", 7, clock);
    std::mutex mutex;
    std::string said;
    {
      ticket::Ring ring(
          {.path = agent.path.string(), .log = [&](tkt_log_level, std::string_view text) {
             const std::lock_guard guard(mutex);
             said += text;
           }});
      agent.publish(hourly(3));
      CHECK(eventually([&] {
        const std::lock_guard guard(mutex);
        return said.find("ok") != std::string::npos;
      }));
      CHECK(ring.info().epochs == 3);
    }
  }

  TEST_CASE("without one the caller tends, and is told when to come again") {
    Clock clock;
    Server server("web", 7, clock);
    std::int64_t next = 0;
    CHECK(tkt_ring_tend(server.ring.get(), &next) == TKT_OK);
    const auto now = clock.steady.time_since_epoch().count();
    CHECK(next > now);
    CHECK(next <= now + 1);
  }

  TEST_CASE("ticket.hpp throws for failures and says what failed") {
    CHECK(ticket::check(TKT_OK, "x") == TKT_OK);
    CHECK(ticket::check(TKT_EXPIRED, "x") == TKT_EXPIRED);  // a rejection is no failure
    CHECK_THROWS_WITH_AS(ticket::check(TKT_BAD_ARGUMENT, "cannot open"),
                         "cannot open: bad argument", ticket::Failure);
    const ticket::Ring ring({.path = "/nonexistent/x.ring", .thread = false});
    CHECK(ring.info().state == TKT_RING_NONE);
    CHECK(ring.counters().sealed == 0);
  }

  TEST_CASE("counters stand beside the ring file, or where they were asked for") {
    Clock clock;
    Server server("web", 7, clock);
    server.publish(hourly(2));
    ticket::ring::Counters::create(server.folder / "web.counters");
    ticket::ring::Counters::create(server.folder / "elsewhere");

    for (const std::string& name : {std::string(), (server.folder / "elsewhere").string()}) {
      const ticket::Ring ring({.path = server.path.string(), .counters = name, .thread = false});
      const auto context = server_context("a.test");
      CHECK(tkt_openssl_attach(context.get(), ring.handle(), nullptr) == TKT_OK);
      CHECK(connect(context.get(), {}).tickets == 2);
      CHECK(ring.counters().sealed == 2);
    }
    for (const char* name : {"web.counters", "elsewhere"}) {
      const auto sum = ticket::ring::Counters::sum(server.folder / name);
      CHECK(sum[static_cast<std::size_t>(ticket::ring::Counter::sealed)] == 2);
    }
  }
}
