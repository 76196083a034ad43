// The main job: a session that began on one server resumes on every other, also
// right through rotations, an outage and a broken ring file.
#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <ticket/ticket.hpp>

#include "pool.hpp"
#include "support/joined.hpp"

using namespace pool;

namespace {

// With its name told, a context needs no second look in TLS 1.2.
constexpr tkt_openssl_name told[] = {{"a.test", "a"}};
constexpr tkt_openssl_options tell_name{
    .size = 0, .context = nullptr, .names = told, .names_count = 1};

}  // namespace

TEST_SUITE("openssl: a pool") {
  TEST_CASE("what one server seals another resumes, both ways, TLS 1.2 and 1.3") {
    Clock clock;
    Server one("one", 1, clock), two("two", 2, clock);
    one.publish(hourly(4));
    two.publish(hourly(4));
    const auto here = attached("a.test", one, tell_name);
    const auto there = attached("a.test", two, tell_name);

    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      const auto first = connect(here.get(), {.version = version});
      const auto second =
          connect(there.get(), {.version = version, .session = first.session.get()});
      const auto third = connect(here.get(), {.version = version, .session = second.session.get()});

      CHECK(first.completed);
      CHECK_FALSE(first.resumed);
      CHECK(first.info.offered == 0);
      CHECK(first.info.context == std::string("a"));
      CHECK(second.resumed);
      CHECK(second.info.offered == 1);
      CHECK(second.info.reason == TKT_OK);
      CHECK(second.info.epoch == 1);
      CHECK(second.info.minter == 1);
      CHECK(second.info.born == clock.steady.time_since_epoch().count());
      CHECK(second.info.context == std::string("a"));
      CHECK(third.resumed);
      CHECK(third.info.minter == (version == TLS1_3_VERSION ? 2 : 1));  // 1.2 kept its ticket
    }
    CHECK(one.counters().resumed_sealing == 2);
    CHECK(two.counters().resumed_sealing == 2);
    CHECK(one.counters().sealed == 1 + 2 + 1);
    CHECK(two.counters().sealed == 1);
  }

  TEST_CASE("sessions resume through rotations, and the state of the key is counted") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(4));
    const auto context = attached("a.test", one, tell_name);

    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      const auto before = one.counters();
      const auto start = clock;
      const auto first = connect(context.get(), {.version = version});
      clock.pass(1h);
      const auto after =
          connect(context.get(), {.version = version, .session = first.session.get()});
      clock.pass(2h);
      const auto later =
          connect(context.get(), {.version = version, .session = after.session.get()});

      CHECK(after.resumed);
      CHECK(after.info.epoch == 1);
      CHECK(later.resumed);
      CHECK(later.info.epoch == 2);
      CHECK(one.counters().resumed_opening == before.resumed_opening + 2);
      clock = start;
    }
  }

  TEST_CASE("a server whose clock is behind opens what it would not seal yet") {
    Clock ahead, behind;
    ahead.pass(1h);
    Server one("one", 1, ahead), two("two", 2, behind);
    one.publish({{1, -1h, 1h, 13h}, {2, 0h, 2h, 14h}});  // counted from this clock's start
    two.publish({{1, 0h, 2h, 14h}, {2, 1h, 3h, 15h}});
    const auto here = attached("a.test", one, tell_name);
    const auto there = attached("a.test", two, tell_name);

    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      const auto first = connect(here.get(), {.version = version});
      const auto second =
          connect(there.get(), {.version = version, .session = first.session.get()});

      CHECK(second.resumed);
      CHECK(second.info.epoch == 2);
    }
    CHECK(two.counters().resumed_announced == 2);
  }

  TEST_CASE(
      "without anything newer the last epoch stretches, then tickets stop, handshakes go on") {
    Clock clock;
    Server one("one", 1, clock);
    one.policy.stretch = 2h;
    one.publish({{1, 0h, 1h, 13h}});
    const auto context = attached("a.test", one);

    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      const auto start = clock;
      const auto first = connect(context.get(), {.version = version});
      CHECK(one.info().state == TKT_RING_OK);

      clock.pass(2h);
      const auto stretched = connect(context.get(), {.version = version});
      CHECK(stretched.tickets > 0);
      CHECK(one.info().state == TKT_RING_STRETCHED);

      clock.pass(2h);
      const auto not_sealed = one.counters().not_sealed;
      const auto stopped = connect(context.get(), {.version = version});
      CHECK(stopped.completed);
      CHECK(stopped.server_alerts == 0);
      CHECK(stopped.tickets == 0);
      CHECK(one.counters().not_sealed > not_sealed);
      CHECK(one.info().state == TKT_RING_STOPPED);
      CHECK(one.info().sealing_epoch == 0);

      // what was sealed still opens, and is not taken from the client
      const auto resumed =
          connect(context.get(), {.version = version, .session = first.session.get()});
      CHECK(resumed.resumed);
      CHECK(resumed.tickets == 0);
      clock = start;
    }
  }

  TEST_CASE("a missing ring file stops no handshake, and is taken up when it appears") {
    Clock clock;
    Server one("one", 1, clock);
    const auto context = attached("a.test", one);

    for (const int version : both_versions) {
      const auto outcome = connect(context.get(), {.version = version});
      CHECK(outcome.completed);
      CHECK(outcome.tickets == 0);
      CHECK(outcome.server_alerts == 0);
    }
    CHECK(one.info().state == TKT_RING_NONE);
    CHECK(one.why() == "ring file missing");
    CHECK(one.counters().not_sealed > 0);

    one.publish(hourly(2));

    CHECK(one.info().state == TKT_RING_OK);
    CHECK(connect(context.get(), {}).tickets == 2);
  }

  TEST_CASE("a ring file cut off under a server takes nothing away but what has ended") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    const auto context = attached("a.test", one);
    const auto first = connect(context.get(), {});

    std::ofstream(one.path, std::ios::trunc) << "tkt";
    clock.pass(10s);
    const auto second = connect(context.get(), {.session = first.session.get()});
    clock.pass(20h);
    const auto third = connect(context.get(), {.session = second.session.get()});

    CHECK(second.resumed);
    CHECK(third.completed);
    CHECK_FALSE(third.resumed);
    CHECK(third.tickets == 0);
  }

  TEST_CASE("a ring file of nonsense is said to be one") {
    Clock clock;
    Server one("one", 1, clock);
    std::ofstream(one.path) << std::string(100000, 'x');
    one.tend();
    const auto context = attached("a.test", one);

    CHECK(connect(context.get(), {}).completed);
    CHECK(one.info().state == TKT_RING_NONE);
    CHECK(one.why() == "not a ring file");
    CHECK_FALSE(one.said.empty());
  }

  TEST_CASE("as many tickets as asked for") {
    struct {
      int asked;
      unsigned first;
      unsigned resumed;
    } const rows[] = {{0, 2, 1}, {1, 1, 1}, {4, 4, 1}, {-1, 0, 0}};
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    const auto plain = attached("a.test", one);
    const auto known = connect(plain.get(), {});

    for (const auto& row : rows) {
      CAPTURE(row.asked);
      const auto context = attached("a.test", one, {.tickets = row.asked});
      CHECK(connect(context.get(), {}).tickets == row.first);
      const auto resumed = connect(context.get(), {.session = known.session.get()});
      // who seals none cannot look again where an untold name is served
      CHECK(resumed.resumed == (row.asked >= 0));
      CHECK(resumed.tickets == row.resumed);
    }
    const tkt_openssl_name told[] = {{"a.test", "default", nullptr}};
    const auto context =
        attached("a.test", one, {.names = told, .names_count = std::size(told), .tickets = -1});
    CHECK(connect(context.get(), {.session = known.session.get()}).resumed);
  }

  TEST_CASE("another session-id context is another pool") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    const auto here = attached("a.test", one);
    const auto there = attached("a.test", one, {.session_id_context = "haproxy"});

    for (const int version : both_versions) {
      const auto first = connect(here.get(), {.version = version});
      const auto second =
          connect(there.get(), {.version = version, .session = first.session.get()});
      CHECK(second.completed);
      CHECK_FALSE(second.resumed);
    }
  }

  TEST_CASE("no session resumes by its id alone, from one server's memory") {
    Clock clock;
    Server one("one", 1, clock);
    const auto context = attached("a.test", one);  // no ring: no tickets
    const auto first = connect(context.get(), {.version = TLS1_2_VERSION});
    CHECK(SSL_CTX_sess_number(context.get()) == 0);
    CHECK(first.tickets == 0);
  }

  TEST_CASE("promise 6: nor from a cache of the application's, as nginx's ssl_session_cache is") {
    static std::vector<SessionPtr> cache;
    cache.clear();
    const auto kept = [](SSL*, SSL_SESSION* session) {
      cache.push_back(copy(session));
      return 0;
    };
    const auto found = [](SSL*, const unsigned char* id, int size, int* copied) -> SSL_SESSION* {
      *copied = 1;
      for (const auto& session : cache) {
        unsigned known = 0;
        const auto* bytes = SSL_SESSION_get_id(session.get(), &known);
        if (std::equal(bytes, bytes + known, id, id + size)) return session.get();
      }
      return nullptr;
    };
    const auto caching = [&](SSL_CTX* context) {
      SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(context, kept);
      SSL_CTX_sess_set_get_cb(context, found);
    };
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      for (const bool ours : {false, true}) {
        CAPTURE(ours);
        const auto context = server_context("a.test");
        caching(context.get());
        // in TLS 1.3 the session's id is in its ticket then
        if (version == TLS1_3_VERSION) SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
        if (ours) attach(context.get(), one);
        const auto first = connect(context.get(), {.version = version, .tickets = false});
        REQUIRE(first.session);
        const auto again = connect(
            context.get(), {.version = version, .session = first.session.get(), .tickets = false});
        CHECK(again.completed);
        CHECK(again.resumed == !ours);  // stock OpenSSL does
      }
    }
  }

  TEST_CASE("attaching again replaces what was attached") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    const auto context = attached("a.test", one, {.context = "first"});
    const auto before = connect(context.get(), {});

    tkt_openssl_options second{.size = sizeof second, .context = "second"};
    CHECK(tkt_openssl_attach(context.get(), one.ring.get(), &second) == TKT_OK);
    const auto after = connect(context.get(), {.session = before.session.get()});

    CHECK_FALSE(after.resumed);
    CHECK(after.info.reason == TKT_CONTEXT);
    CHECK(after.info.context == std::string("second"));
  }

  TEST_CASE("bad options are refused, and said") {
    Clock clock;
    Server one("one", 1, clock);
    const auto context = server_context("a.test");
    const std::string long_name(300, 'x');
    const tkt_openssl_name no_context[] = {{"a.test", nullptr}};
    const tkt_openssl_name inner_wildcard[] = {{"a.*.test", "x"}};
    const tkt_openssl_options bad[] = {
        {.size = 0},
        {.size = sizeof(tkt_openssl_options), .context = long_name.c_str()},
        {.size = sizeof(tkt_openssl_options), .names = nullptr, .names_count = 1},
        {.size = sizeof(tkt_openssl_options), .names = no_context, .names_count = 1},
        {.size = sizeof(tkt_openssl_options), .names = inner_wildcard, .names_count = 1},
        {.size = sizeof(tkt_openssl_options), .binding = static_cast<tkt_openssl_binding>(3)},
        {.size = sizeof(tkt_openssl_options), .session_id_context = long_name.c_str()},
        {.size = sizeof(tkt_openssl_options), .tickets = -2},
    };
    for (const auto& options : bad) {
      CHECK(tkt_openssl_attach(context.get(), one.ring.get(), &options) == TKT_BAD_ARGUMENT);
    }
    CHECK(tkt_openssl_attach(nullptr, one.ring.get(), nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_openssl_attach(context.get(), nullptr, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_openssl_attach(context.get(), one.ring.get(), nullptr) == TKT_OK);
    tkt_openssl_info info{.size = sizeof info};
    const SslPtr strange(SSL_new(server_context("b.test").get()));
    CHECK(tkt_openssl_info_read(strange.get(), &info) == TKT_BAD_ARGUMENT);
  }

  TEST_CASE("threads resume on each other's servers while the ring rotates under them") {
    Clock clock;
    Server agent("web", 1, clock);  // writes the file; the rings below read it, by the real clock
    agent.publish(hourly(2));
    ticket::Ring ring({.path = agent.path.string()});
    const auto context = server_context("a.test");
    REQUIRE(tkt_openssl_attach(context.get(), ring.handle(), nullptr) == TKT_OK);
    connect(context.get(), {});  // makes the identities that threads share

    std::atomic<int> failed{0}, full{0};
    const auto resume_often = [&] {
      for (const int version : both_versions) {
        auto session = connect(context.get(), {.version = version}).session;
        for (int i = 0; i < 40 && session; ++i) {
          auto next = connect(context.get(), {.version = version, .session = session.get()});
          if (!next.completed) ++failed;
          if (!next.resumed) ++full;
          session = std::move(next.session);
        }
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(resume_often);
    for (unsigned epochs = 3; epochs < 40; ++epochs) {
      agent.publish(hourly(epochs));
      ring.tend();
    }
    for (auto& thread : threads) thread.join();

    CHECK(failed == 0);
    CHECK(full == 0);
    CHECK(ring.counters().resumed_sealing == 3 * 2 * 40);
  }

  TEST_CASE("DTLS sessions resume, time after time, under their name") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    const auto identity = server_context("a.test");
    const ContextPtr context(SSL_CTX_new(DTLS_server_method()));
    SSL_CTX_use_certificate(context.get(), SSL_CTX_get0_certificate(identity.get()));
    SSL_CTX_use_PrivateKey(context.get(), SSL_CTX_get0_privatekey(identity.get()));
    attach(context.get(), server);
    const ContextPtr client(SSL_CTX_new(DTLS_client_method()));

    const auto visit = [&](const char* name, SessionPtr& session) {
      const SslPtr from(SSL_new(client.get())), to(SSL_new(context.get()));
      for (auto* ssl : {from.get(), to.get()}) {
        SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
        SSL_set_mtu(ssl, 1400);
      }
      SSL_set_tlsext_host_name(from.get(), name);
      if (session) SSL_set_session(from.get(), session.get());
      support::join(from.get(), to.get());
      REQUIRE(support::shake_hands(from.get(), to.get()));
      const SessionPtr made(SSL_get1_session(from.get()));
      session = copy(made.get());
      SSL_shutdown(from.get());
      return SSL_session_reused(to.get()) == 1;
    };
    SessionPtr session;
    CHECK_FALSE(visit("a.test", session));
    for (int i = 0; i < 3; ++i) CHECK(visit("a.test", session));
    clock.pass(1h);  // another key seals now, and the ticket is renewed
    server.tend();
    for (int i = 0; i < 3; ++i) CHECK(visit("a.test", session));
    CHECK_FALSE(visit("b.test", session));
  }

  TEST_CASE("SSL_dup copies a connection that has not begun") {
    Clock clock;
    Server one("one", 1, clock);
    one.publish(hourly(2));
    const auto context = attached("a.test", one);
    const SslPtr original(SSL_new(context.get()));
    SSL_set_accept_state(original.get());

    const SslPtr copied(SSL_dup(original.get()));

    CHECK(copied != nullptr);  // and both are freed, once each
  }
}
