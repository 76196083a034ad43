// Promises 3, 4, 5 and 7, as an OpenSSL server keeps them. Promise 6 has
// openssl_contexts_test.cpp to itself.
#include <doctest/doctest.h>

#include "pool.hpp"

using namespace pool;

namespace {

constexpr tkt_openssl_name told[] = {{"a.test", "a"}};
constexpr tkt_openssl_options tell_name{
    .size = 0, .context = nullptr, .names = told, .names_count = 1};

long hint(const Outcome& outcome) {
  return static_cast<long>(SSL_SESSION_get_ticket_lifetime_hint(outcome.session.get()));
}

// How a server could be left to itself: keyd dead, so that nothing is published.
struct Alone {
  Alone() { server.publish(hourly(1)); }
  Clock clock;
  Server server{"one", 1, clock};
};

}  // namespace

TEST_SUITE("openssl: promises") {
  TEST_CASE("promise 3: a key past its opens_until opens nothing, though nobody writes") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.policy.lineage = 48h;
      server.publish({{1, 0h, 1h, 2h}});
      const auto context = attached("a.test", server);
      // a ticket that says it is good for longer than its key: made by a thief, or by a bug
      const auto thief = server_context("a.test");
      auto key = stek(1, "default");
      SSL_CTX_set_tlsext_ticket_keys(thief.get(), key.data(), key.size());
      SSL_CTX_set_timeout(thief.get(), 86400);
      const auto first = connect(thief.get(), {.version = version});

      clock.pass(2h - 1s);
      const auto last =
          connect(context.get(), {.version = version, .session = first.session.get()});
      clock.pass(1s);
      const auto ended =
          connect(context.get(), {.version = version, .session = first.session.get()});

      CHECK(last.resumed);
      CHECK(ended.completed);
      CHECK_FALSE(ended.resumed);
      CHECK(ended.server_alerts == 0);
    }
  }

  TEST_CASE("promise 3: a clock set back revives no key") {
    Alone alone;
    const auto context = attached("a.test", alone.server);
    const auto first = connect(context.get(), {});

    alone.clock.pass(13h);
    const auto gone = connect(context.get(), {.session = first.session.get()});
    alone.clock.wall -= 13h;  // steady does not follow
    const auto still_gone = connect(context.get(), {.session = first.session.get()});
    alone.clock.pass(-13h);
    alone.clock.wall += 26h;  // the wall clock is set ahead: the later of the two decides
    const auto ahead = connect(context.get(), {.session = first.session.get()});

    CHECK_FALSE(gone.resumed);
    CHECK_FALSE(still_gone.resumed);
    CHECK_FALSE(ahead.resumed);
  }

  TEST_CASE("promise 4: a ticket outlasts neither its key nor its lineage") {
    struct {
      seconds lifetime, opens_until, lineage;
      std::uint32_t option;
      seconds good_for;
      const char* bound;
    } const rows[] = {
        {2h, 10h, 24h, 0, 2h, "the policy's lifetime"},
        {2h, 10h, 24h, 600, 600s, "the option's lifetime"},
        {2h, 10h, 24h, 7200 * 9, 2h, "an option cannot lengthen it"},
        {12h, 3h, 24h, 0, 3h, "the key's opens_until"},
        {12h, 20h, 90min, 0, 90min, "the lineage"},
    };
    for (const auto& row : rows) {
      for (const int version : both_versions) {
        CAPTURE(row.bound);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.policy.lifetime = row.lifetime;
        server.policy.lineage = row.lineage;
        server.publish({{1, 0h, 1h, row.opens_until}});
        const auto context = attached("a.test", server, {.lifetime = row.option});
        const auto first = connect(context.get(), {.version = version});

        CHECK(hint(first) == row.good_for.count());
        clock.pass(row.good_for - 1s);
        CHECK(connect(context.get(), {.version = version, .session = first.session.get()}).resumed);
        clock.pass(1s);
        CHECK_FALSE(
            connect(context.get(), {.version = version, .session = first.session.get()}).resumed);
      }
    }
  }

  TEST_CASE("promise 4: nor does a renewed ticket, whose lineage is half over") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.policy.lineage = 3h;
      server.publish(hourly(4));
      const auto context = attached("a.test", server, tell_name);
      const auto first = connect(context.get(), {.version = version});
      clock.pass(2h);
      const auto renewed =
          connect(context.get(), {.version = version, .session = first.session.get()});

      REQUIRE(renewed.resumed);
      REQUIRE(renewed.tickets == 1);
      // OpenSSL advertises 0, unspecified, on a TLS 1.2 renewal
      CHECK(hint(renewed) == (version == TLS1_3_VERSION ? 3600 : 0));
      clock.pass(1h - 1s);
      CHECK(connect(context.get(), {.version = version, .session = renewed.session.get()}).resumed);
      clock.pass(1s);
      CHECK_FALSE(
          connect(context.get(), {.version = version, .session = renewed.session.get()}).resumed);
    }
  }

  TEST_CASE("promise 4: a TLS 1.2 renewal expires by its own time, not by the first ticket's") {
    Clock clock;
    Server server("one", 1, clock);
    server.policy.lifetime = 2h;
    server.publish(hourly(6));
    const auto context = attached("a.test", server, tell_name);
    const auto first = connect(context.get(), {.version = TLS1_2_VERSION});
    clock.pass(90min);
    const auto renewed =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = first.session.get()});
    REQUIRE(renewed.tickets == 1);

    clock.pass(90min);
    const auto late =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = renewed.session.get()});
    clock.pass(30min);
    const auto too_late =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = renewed.session.get()});

    CHECK(late.resumed);
    CHECK_FALSE(too_late.resumed);
    CHECK(too_late.info.reason == TKT_EXPIRED);
  }

  TEST_CASE("promise 5: a TLS 1.3 resumption always brings a new ticket") {
    Alone alone;
    const auto context = attached("a.test", alone.server);
    auto session = connect(context.get(), {}).session;

    for (int i = 0; i < 5; ++i) {
      const auto next = connect(context.get(), {.session = session.get()});
      CHECK(next.resumed);
      CHECK(next.tickets == 1);
      session = copy(next.session.get());
    }
  }

  TEST_CASE(
      "promise 5: a TLS 1.2 ticket is renewed when its epoch no longer seals, and only then") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    const auto context = attached("a.test", server);
    const auto first = connect(context.get(), {.version = TLS1_2_VERSION});

    clock.pass(1h - 1s);
    const auto same_epoch =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = first.session.get()});
    clock.pass(1s);
    const auto next_epoch =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = first.session.get()});
    const auto renewed =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = next_epoch.session.get()});

    CHECK(same_epoch.resumed);
    CHECK(same_epoch.tickets == 0);
    CHECK(next_epoch.resumed);
    CHECK(next_epoch.tickets == 1);
    CHECK(renewed.resumed);
    CHECK(renewed.info.epoch == 2);
    CHECK(renewed.tickets == 0);
  }

  TEST_CASE("promise 7: a lineage ends, however often it was resumed") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server one("one", 1, clock), two("two", 2, clock);
      Server* const servers[] = {&one, &two};
      for (auto* server : servers) {
        server->policy.lineage = 4h;
        server->publish(hourly(12));
      }
      const ContextPtr contexts[] = {attached("a.test", one), attached("a.test", two)};
      const auto first = connect(contexts[0].get(), {.version = version});
      auto session = copy(first.session.get());
      const auto born = clock.steady.time_since_epoch().count();

      for (int i = 1; i < 8; ++i) {
        clock.pass(30min);
        const auto next =
            connect(contexts[i % 2].get(), {.version = version, .session = session.get()});
        CHECK(next.resumed);
        CHECK(next.info.born == born);
        session = copy(next.session.get());
      }
      clock.pass(30min);
      const auto ended = connect(contexts[0].get(), {.version = version, .session = session.get()});
      const auto anew =
          connect(contexts[1].get(), {.version = version, .session = ended.session.get()});

      CHECK(ended.completed);
      CHECK_FALSE(ended.resumed);
      CHECK(ended.info.reason == TKT_LINEAGE);
      CHECK(anew.resumed);
      CHECK(anew.info.born == clock.steady.time_since_epoch().count());
    }
  }
}
