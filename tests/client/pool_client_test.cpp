// What a client that knows pools does at their servers.
#include <doctest/doctest.h>

#include <map>

#include "client/doubts.hpp"
#include "client/world.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

const auto web = manifest_of({pool_of({"a.test", "b.test", "c.test"})});
const Leaf shared{"DNS:a.test,DNS:b.test,DNS:c.test"};

}  // namespace

TEST_SUITE("client: pools") {
  TEST_CASE("one full handshake, then every server of the pool resumes") {
    for (const bool known : {true, false}) {
      CAPTURE(known);
      Client client({}, known ? web.c_str() : nullptr);
      const auto ctx = client_context();
      REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), nullptr) == TKT_OK);
      const auto a = server(shared), b = server(shared), c = server(shared);

      const auto first = visit(client.handle.get(), ctx.get(), "a.test", a.get());
      const auto second = visit(client.handle.get(), ctx.get(), "b.test", b.get());
      const auto third = visit(client.handle.get(), ctx.get(), "c.test", c.get());
      const auto again = visit(client.handle.get(), ctx.get(), "a.test", a.get());

      CAPTURE(first.error);
      CHECK(first.completed);
      CHECK_FALSE(first.offered);
      CHECK(second.completed);
      CHECK(second.resumed == known);
      CHECK(third.resumed == known);
      CHECK(again.resumed);
      if (known) CHECK(second.ticket_of == "a.test:443");
      const auto counters = client.counters();
      CHECK(counters.prepared == 4);
      CHECK(counters.offered == (known ? 3 : 1));
      CHECK(counters.resumed == (known ? 3 : 1));
      CHECK(counters.resumed_other == (known ? 3 : 0));
    }
  }

  TEST_CASE("TLS 1.2 resumes under its own name, and keeps a renewed ticket") {
    Client client({}, web.c_str());
    const auto ctx = client_context({.version = TLS1_2_VERSION});
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto a = server(shared);

    CHECK_FALSE(visit(client.handle.get(), ctx.get(), "a.test", a.get()).offered);
    const auto second = visit(client.handle.get(), ctx.get(), "a.test", a.get());
    const auto third = visit(client.handle.get(), ctx.get(), "a.test", a.get());
    const auto other = visit(client.handle.get(), ctx.get(), "b.test", a.get());

    CHECK(second.resumed);
    CHECK(third.resumed);
    CHECK(third.ticket == second.ticket);
    CHECK_FALSE(other.offered);
    CHECK(other.why == "other name, TLS 1.2");
    CHECK(other.completed);
  }

  TEST_CASE("a closed fleet may say that TLS 1.2 resumes under any name") {
    tkt_client_options options{};
    options.any_name = 1;
    Client client(options, web.c_str());
    const auto ctx = client_context({.version = TLS1_2_VERSION});
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto a = server(shared), b = server(shared);
    visit(client.handle.get(), ctx.get(), "a.test", a.get());

    const auto other = visit(client.handle.get(), ctx.get(), "b.test", b.get());

    CHECK(other.resumed);
    CHECK(other.ticket_of == "a.test:443");
  }

  TEST_CASE("partitions do not meet") {
    Client client({}, web.c_str());
    const auto one = client_context(), two = client_context();
    tkt_client_attach(client.handle.get(), one.get(), "alice");
    tkt_client_attach(client.handle.get(), two.get(), "bob");
    const auto a = server(shared);
    visit(client.handle.get(), one.get(), "a.test", a.get());

    const auto other = visit(client.handle.get(), two.get(), "a.test", a.get());
    const auto same = visit(client.handle.get(), one.get(), "a.test", a.get());

    CHECK_FALSE(other.offered);
    CHECK(same.resumed);
  }

  TEST_CASE("a server that does not know the pool's tickets is left out of it for a time") {
    tkt_client_options options{};
    options.doubt_after = 2;
    Client client(options, web.c_str());
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto a = server(shared), stranger = server(shared, {.keys = 9});
    const auto at_stranger = [&] {
      visit(client.handle.get(), ctx.get(), "a.test", a.get());
      return visit(client.handle.get(), ctx.get(), "b.test", stranger.get());
    };

    // each time a ticket of a's is newest
    const auto first = at_stranger(), second = at_stranger();
    const auto third = at_stranger(), fourth = at_stranger();

    CHECK(first.offered);
    CHECK_FALSE(first.resumed);
    CHECK(second.offered);
    CHECK_FALSE(second.resumed);
    CHECK(third.pool == "host:b.test:443");
    CHECK(third.ticket_of == "b.test:443");
    CHECK(third.resumed);
    CHECK(fourth.resumed);
    CHECK(client.counters().doubted == 1);

    client.pass(11min);
    const auto later = at_stranger();
    CHECK(later.pool == "manifest:web");
    CHECK_FALSE(later.resumed);
    const auto last = at_stranger();
    CHECK(last.pool == "host:b.test:443");  // one more was enough
  }

  TEST_CASE("client promise: nor do tickets of a server that is left out go to the others") {
    tkt_client_options options{};
    options.doubt_after = 2;
    Client client(options, web.c_str());
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto a = server(shared), stranger = server(shared, {.keys = 9});
    const auto go = [&](const char* name, const ContextPtr& at, bool read_tickets) {
      return visit(client.handle.get(), ctx.get(), name, at.get(), {.read_tickets = read_tickets});
    };
    go("b.test", stranger, true);                            // two tickets of b.test
    CHECK(go("a.test", a, true).ticket_of == "b.test:443");  // one is left
    CHECK(go("b.test", stranger, false).ticket_of == "a.test:443");
    CHECK(go("b.test", stranger, false).ticket_of == "a.test:443");
    REQUIRE(client.counters().doubted == 1);

    const auto visited = go("a.test", a, false);

    CHECK_FALSE(visited.offered);
    CHECK(visited.why == "of a server outside the pool");
    CHECK(visited.completed);
  }

  TEST_CASE("a doubt grows to a day; a resumption across servers ends it") {
    ticket::client::Doubts doubts(2);
    const auto b = *ticket::client::Server::parse("b.test:443");
    const ticket::client::Pool pool = "manifest:web";
    auto now = real_now();
    CHECK_FALSE(doubts.refused(b, pool, now));
    for (const int length : {10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440}) {
      CAPTURE(length);
      CHECK(doubts.refused(b, pool, now));
      now += std::chrono::minutes(length);
      CHECK(doubts.holds(b, pool, now - 1s));
      CHECK_FALSE(doubts.holds(b, pool, now));
    }

    doubts.resumed(b, pool, true);

    CHECK_FALSE(doubts.refused(b, pool, now));  // counted anew
    doubts.resumed(b, pool, false);             // by its own ticket: that shows nothing
    CHECK(doubts.refused(b, pool, now));
  }

  TEST_CASE("a doubt, and one of all tickets, ends with the clock that it was begun under") {
    ticket::client::Doubts doubts(1);
    const auto b = *ticket::client::Server::parse("b.test:443");
    const ticket::client::Pool pool = "manifest:web";
    const auto now = real_now(), ahead = now + std::chrono::days(365);
    REQUIRE(doubts.refused(b, pool, ahead));
    doubts.silent(b, ahead);
    doubts.silent(b, ahead);
    CHECK(doubts.holds(b, pool, ahead - 5min));  // clocks differ by as much
    CHECK(doubts.take_failure(b, ahead));
    CHECK(doubts.take_failure(b, ahead));

    CHECK_FALSE(doubts.holds(b, pool, now));
    CHECK_FALSE(doubts.take_failure(b, now));
    CHECK(doubts.refused(b, pool, now));
    CHECK(doubts.holds(b, pool, now));
  }

  TEST_CASE("the pool that was used least recently goes first") {
    tkt_client_options options{};
    options.sessions = 4;
    Client client(options);
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto at = server(shared);  // two tickets each
    visit(client.handle.get(), ctx.get(), "a.test", at.get());
    visit(client.handle.get(), ctx.get(), "b.test", at.get());
    CHECK(visit(client.handle.get(), ctx.get(), "a.test", at.get()).resumed);

    visit(client.handle.get(), ctx.get(), "c.test", at.get());

    CHECK(client.counters().sessions <= 4);
    CHECK_FALSE(visit(client.handle.get(), ctx.get(), "b.test", at.get()).offered);
    CHECK(visit(client.handle.get(), ctx.get(), "c.test", at.get()).resumed);
  }

  TEST_CASE("what became of offers is counted by pool; who stands alone is not") {
    const auto two = manifest_of({pool_of({"a.test", "b.test"}), pool_of({"c.test"}, "api")});
    Client client({}, two.c_str());
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto at = server({"DNS:a.test,DNS:b.test,DNS:c.test,DNS:d.test"});
    const auto stranger = server(shared, {.keys = 9});
    const auto go = [&](const char* name, const ContextPtr& to, const VisitOptions& how = {}) {
      visit(client.handle.get(), ctx.get(), name, to.get(), how);
    };
    for (const auto* name : {"a.test", "b.test", "c.test", "c.test", "d.test", "d.test"}) {
      go(name, at);
    }
    go("a.test", stranger);
    go("c.test", at, {.server_dies = 1});

    std::map<std::string, std::vector<std::uint64_t>> counted;
    const auto note = [](void* to, const tkt_client_pool_counters* row) {
      (*static_cast<decltype(counted)*>(to))[row->pool] = {row->offered, row->resumed, row->refused,
                                                           row->failed};
    };
    REQUIRE(tkt_client_pools_read(client.handle.get(), note, &counted) == TKT_OK);

    CHECK(counted.size() == 2);
    CHECK(counted["manifest:web"] == std::vector<std::uint64_t>{2, 1, 1, 0});
    CHECK(counted["manifest:api"] == std::vector<std::uint64_t>{2, 1, 0, 1});
    CHECK(tkt_client_pools_read(client.handle.get(), nullptr, nullptr) == TKT_BAD_ARGUMENT);
  }

  TEST_CASE("callbacks that an SSL_CTX had go on being called") {
    static int sessions = 0, infos = 0;
    const auto ctx = client_context();
    SSL_CTX_sess_set_new_cb(ctx.get(), [](SSL*, SSL_SESSION*) { return ++sessions, 0; });
    SSL_CTX_set_info_callback(ctx.get(), [](const SSL*, int, int) { ++infos; });
    Client client;
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto a = server(shared);

    visit(client.handle.get(), ctx.get(), "a.test", a.get());

    CHECK(sessions == 2);
    CHECK(infos > 0);
  }

  TEST_CASE("an SSL_CTX may outlive the client") {
    const auto ctx = client_context();
    const auto a = server(shared);
    {
      Client client;
      tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
      visit(client.handle.get(), ctx.get(), "a.test", a.get());
    }
    Client another;
    const auto visited = visit(another.handle.get(), ctx.get(), "a.test", a.get());
    CHECK(visited.completed);
    CHECK_FALSE(visited.offered);
  }

  TEST_CASE("what the door refuses") {
    Client client;
    const auto ctx = client_context(), stranger = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const SslPtr ssl(SSL_new(ctx.get())), other(SSL_new(stranger.get()));
    auto* handle = client.handle.get();

    CHECK(tkt_client_prepare(handle, ssl.get(), "a b", 443) == TKT_BAD_ARGUMENT);
    CHECK(tkt_client_prepare(handle, ssl.get(), "a.test", 0) == TKT_BAD_ARGUMENT);
    CHECK(tkt_client_prepare(handle, ssl.get(), "a.test", 65536) == TKT_BAD_ARGUMENT);
    CHECK(tkt_client_prepare(handle, other.get(), "a.test", 443) == TKT_BAD_ARGUMENT);
    CHECK(tkt_client_prepare(handle, ssl.get(), "A.Test.", 443) == TKT_OK);
    CHECK(tkt_client_prepare(handle, ssl.get(), "192.0.2.1", 443) == TKT_OK);
    CHECK(tkt_client_attach(handle, ctx.get(), std::string(256, 'x').c_str()) == TKT_BAD_ARGUMENT);
    CHECK(client.manifest("") == TKT_MALFORMED);
    CHECK(client.manifest(manifest_of({pool_of({"a.test"})}, 1)) == TKT_EXPIRED);
    CHECK(client.why.find("expires") != std::string::npos);
  }
}
