// What the client promises, each by its name.
#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "client/world.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

const auto web = manifest_of({pool_of({"a.test", "b.test", "c.test"})});
const Leaf shared{"DNS:a.test,DNS:b.test,DNS:c.test"};

struct Setting {
  explicit Setting(tkt_client_options options = {}, const ClientOptions& how = {},
                   const std::string& manifest = web)
      : client(options, manifest.c_str()), ctx(client_context(how)) {
    REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), nullptr) == TKT_OK);
  }
  Visit visit(const std::string& host, const ContextPtr& at, const VisitOptions& how = {}) {
    return world::visit(client.handle.get(), ctx.get(), host, at.get(), how);
  }
  Client client;
  ContextPtr ctx;
};

}  // namespace

TEST_SUITE("client: promises") {
  TEST_CASE("client promise: a ticket is never offered outside its pool") {
    Setting setting({}, {}, manifest_of({pool_of({"a.test"}, "one"), pool_of({"b.test"}, "two")}));
    const auto at = server(shared);
    setting.visit("a.test", at);

    const auto other_pool = setting.visit("b.test", at);
    const auto no_pool = setting.visit("c.test", at);
    const auto other_port = setting.visit("c.test", at, {.port = 8443});
    const auto own = setting.visit("a.test", at, {.port = 8443});

    CHECK_FALSE(other_pool.offered);
    CHECK_FALSE(no_pool.offered);
    CHECK_FALSE(other_port.offered);
    CHECK(own.resumed);
  }

  TEST_CASE("client promise: nor after the map has changed") {
    Setting setting;
    const auto at = server(shared);
    setting.visit("a.test", at);
    REQUIRE(setting.client.manifest(manifest_of({pool_of({"b.test", "c.test"})})) == TKT_OK);

    const auto left = setting.visit("b.test", at);  // the ticket's server is out
    REQUIRE(setting.client.manifest(manifest_of({pool_of({"c.test"}), pool_of({"b.test"}, "x")})) ==
            TKT_OK);
    const auto moved = setting.visit("c.test", at);  // b's tickets stay where they were

    CHECK_FALSE(left.offered);
    CHECK(left.why == "of a server outside the pool");
    CHECK_FALSE(moved.offered);
  }

  TEST_CASE("client promise: nor once the map's time is over") {
    Setting setting({}, {}, manifest_of({pool_of({"a.test", "b.test"})}, std::time(nullptr) + 60));
    const auto at = server(shared);
    setting.visit("a.test", at);
    CHECK(setting.visit("b.test", at).resumed);
    setting.client.pass(60s);

    const auto over = setting.visit("b.test", at);

    CHECK(over.pool == "host:b.test:443");
    CHECK_FALSE(over.offered);
    CHECK(over.completed);
  }

  TEST_CASE("a refused manifest changes nothing") {
    Setting setting;
    const auto at = server(shared);
    setting.visit("a.test", at);
    CHECK(setting.client.manifest("{") == TKT_MALFORMED);
    CHECK(setting.client.why == "line 1, column 2: not JSON");
    CHECK(setting.client.manifest(manifest_of({pool_of({"a.test"})}, 1)) == TKT_EXPIRED);
    CHECK(setting.visit("b.test", at).resumed);
  }

  TEST_CASE("client promise: never to a name that the original certificate does not cover") {
    Setting setting;
    const auto a = server({"DNS:a.test,DNS:c.test"}), b = server({"DNS:b.test"});
    const auto c = server({"DNS:c.test"});
    setting.visit("a.test", a);

    const auto uncovered = setting.visit("b.test", b);
    const auto covered = setting.visit("c.test", c);
    // tickets of c.test now, but the certificate that was looked at is still that of a.test
    const auto still = setting.visit("b.test", b);

    CHECK_FALSE(uncovered.offered);
    CHECK(uncovered.why == "certificate of another name");
    CHECK(uncovered.completed);
    CHECK(covered.resumed);
    CHECK(still.ticket_of == "b.test:443");
  }

  TEST_CASE("client promise: the certificate that counts is that of the full handshake") {
    // b.test shows nothing when it resumes; were its name taken from what it was asked
    // for, its ticket would go to c.test by a certificate that lacks it
    Setting setting;
    const auto a = server({"DNS:a.test,DNS:b.test"}), b = server(shared), c = server(shared);
    setting.visit("a.test", a);
    const auto resumed = setting.visit("b.test", b);
    REQUIRE(resumed.resumed);

    const auto third = setting.visit("c.test", c);

    CHECK_FALSE(third.offered);
    CHECK(third.why == "certificate of another name");
  }

  TEST_CASE("client promise: nor when that certificate is over, or was never verified") {
    SUBCASE("over") {
      Setting setting;
      const auto at = server({shared.names, -3600s, 600s});
      setting.visit("a.test", at);
      CHECK(setting.visit("b.test", at).resumed);
      setting.client.pass(660s);  // the certificate is a little younger than the clock
      for (const auto* name : {"b.test", "a.test"}) {
        const auto over = setting.visit(name, at);
        CHECK_FALSE(over.offered);
        CHECK(over.why == "certificate expired");
      }
    }
    SUBCASE("not verified") {
      Setting setting({}, {.verify = false});
      const auto at = server(shared, {.foreign = true});
      CHECK(setting.visit("a.test", at).completed);
      const auto other = setting.visit("b.test", at);
      CHECK(other.completed);
      CHECK_FALSE(other.offered);
      CHECK(other.why == "other name, not verified");
      CHECK(setting.visit("a.test", at).resumed);
    }
    SUBCASE("not verified then, verified now") {
      Setting setting({}, {.verify = false});
      const auto stranger = server(shared, {.foreign = true});
      setting.visit("a.test", stranger);
      const auto strict = client_context();
      tkt_client_attach(setting.client.handle.get(), strict.get(), nullptr);
      for (const auto* name : {"a.test", "b.test"}) {
        const auto visited =
            world::visit(setting.client.handle.get(), strict.get(), name, stranger.get());
        CHECK_FALSE(visited.offered);
        CHECK_FALSE(visited.completed);  // which it would, had it resumed
      }
    }
  }

  TEST_CASE("a certificate that lacks the name is not skipped by resuming") {
    // the first connection did not check the name, the second does
    Setting setting;
    const auto at = server({"DNS:x.test"});
    CHECK(setting.visit("a.test", at, {.checks_host = false}).completed);
    CHECK(setting.visit("a.test", at, {.checks_host = false}).resumed);

    const auto strict = setting.visit("a.test", at);

    CHECK_FALSE(strict.offered);
    CHECK_FALSE(strict.completed);
  }

  TEST_CASE("client promise: a TLS 1.3 ticket is never offered twice") {
    Setting setting;
    const auto a = server(shared), b = server(shared);
    std::multiset<std::vector<unsigned char>> offered;
    for (int i = 0; i < 40; ++i) {
      // some connections bring no new ticket, break off, or end without a word
      const VisitOptions how{
          .read_tickets = i % 3 != 0, .shutdown = i % 2 != 0, .server_dies = i % 7 == 6 ? 1 : 0};
      const auto visited = setting.visit(i % 2 == 0 ? "a.test" : "b.test", i % 2 == 0 ? a : b, how);
      if (visited.offered) offered.insert(visited.ticket);
    }
    CHECK(offered.size() > 10);
    for (const auto& ticket : offered) CHECK(offered.count(ticket) == 1);
  }

  TEST_CASE("client promise: expired sessions are not offered") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(version);
      Setting setting({}, {.version = version});
      const auto at = server(shared);
      SSL_CTX_set_timeout(at.get(), 100);
      setting.visit("a.test", at);
      setting.client.pass(99s);
      CHECK(setting.visit("a.test", at).offered);
      setting.client.pass(102s);
      const auto over = setting.visit("a.test", at);
      CHECK_FALSE(over.offered);
      CHECK(over.why == "expired");
      CHECK(over.completed);
    }
  }

  TEST_CASE("client promise: a lineage ends, however often it was resumed") {
    for (const std::uint32_t hours : {0, 2}) {
      CAPTURE(hours);
      tkt_client_options options{};
      options.lineage = hours * 3600;
      Setting setting(options, {},
                      manifest_of({pool_of({"a.test", "b.test"})}, std::time(nullptr) + 7 * 86400));
      const auto at = server(shared);
      SSL_CTX_set_timeout(at.get(), 604800);
      const auto sixth = std::chrono::minutes(10) * (hours == 0 ? 24 : hours);
      setting.visit("a.test", at);
      for (int i = 1; i < 6; ++i) {
        setting.client.pass(sixth);
        CHECK(setting.visit(i % 2 == 0 ? "a.test" : "b.test", at).resumed);
      }
      setting.client.pass(sixth);
      for (const auto* name : {"b.test", "a.test"}) {
        const auto over = setting.visit(name, at);
        CHECK(over.completed);
        CHECK(over.offered == (name == std::string("a.test")));  // b's own new session
      }
    }
    tkt_client_options options{};
    options.size = sizeof options;
    options.lineage = 604801;
    tkt_client* none = nullptr;
    CHECK(tkt_client_open(&none, &options) == TKT_BAD_ARGUMENT);
  }

  TEST_CASE("client promise: early data never goes under another name") {
    Setting setting;
    const auto at = server(shared, {.early_data = true});
    setting.visit("a.test", at);

    const auto other = setting.visit("b.test", at);
    const auto own = setting.visit("b.test", at);   // its lineage is a.test's
    const auto back = setting.visit("a.test", at);  // and its ticket b.test's

    CHECK(other.resumed);
    CHECK(other.early_data == 0);
    CHECK(own.resumed);
    CHECK(own.early_data == 0);
    CHECK(back.resumed);
    CHECK(back.early_data == 0);

    Setting fresh;
    fresh.visit("a.test", at);
    const auto same = fresh.visit("a.test", at);
    CHECK(same.resumed);
    CHECK(same.early_data == 1000);
  }

  TEST_CASE("client promise: whatever a server does with a ticket, the handshake is a full one") {
    const auto a = server(shared);
    const struct {
      const char* what;
      Leaf leaf;
      ServerOptions options;
    } servers[] = {
        {"other keys", shared, {.keys = 7}},
        {"no tickets at all", shared, {.keys = 0}},
        {"TLS 1.2 alone", shared, {.version = TLS1_2_VERSION}},
        {"its own certificate", {"DNS:b.test"}, {.keys = 7}},
        {"asks for a certificate", shared, {.keys = 7, .client_certificate = true}},
    };
    for (const auto& one : servers) {
      CAPTURE(one.what);
      Setting setting;
      setting.visit("a.test", a);
      const auto b = server(one.leaf, one.options);

      const auto visited = setting.visit("b.test", b);

      CAPTURE(visited.error);
      CHECK(visited.offered);
      CHECK(visited.completed);
      CHECK_FALSE(visited.resumed);
      CHECK(setting.client.counters().refused == 1);
    }
  }

  TEST_CASE("client promise: a TLS 1.2 session at servers that changed") {
    Setting setting({}, {.version = TLS1_2_VERSION});
    const auto before = server(shared);
    setting.visit("a.test", before);
    const auto after = server(shared);
    SSL_CTX_set_cipher_list(after.get(), "ECDHE-ECDSA-AES128-GCM-SHA256");

    const auto visited = setting.visit("a.test", after);

    CHECK(visited.offered);
    CHECK(visited.completed);
  }

  TEST_CASE("client promise: after a failed handshake the next one offers nothing, once") {
    SUBCASE("an alert: the server lost extended master secrets, which is fatal to a session") {
      Setting setting({}, {.version = TLS1_2_VERSION});
      const auto before = server(shared), after = server(shared);
      SSL_CTX_set_options(after.get(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
      setting.visit("a.test", before);

      const auto failed = setting.visit("a.test", after);
      const auto next = setting.visit("a.test", after);
      const auto then = setting.visit("a.test", after);

      CHECK(failed.offered);
      CHECK_FALSE(failed.completed);
      CHECK_FALSE(next.offered);
      CHECK(next.why == "after a failed handshake");
      CHECK(next.completed);
      CHECK(then.completed);
      CHECK(setting.client.counters().failed >= 1);
    }
    SUBCASE("silence") {
      Setting setting;
      const auto at = server(shared);
      setting.visit("a.test", at);
      const auto failed = setting.visit(
          "a.test", at, {.server_dies = 1, .waits = [&] { setting.client.pass(10s); }});
      const auto next = setting.visit("a.test", at);
      const auto then = setting.visit("a.test", at);
      CHECK(failed.offered);
      CHECK(next.why == "after a failed handshake");
      CHECK(next.completed);
      CHECK(then.resumed);
    }
  }

  TEST_CASE("client promise: protocol, cipher and ALPN suit") {
    Setting setting;
    const auto at = server(shared, {.alpn = "h2"});
    setting.visit("a.test", at, {.alpn = "h2"});
    const auto other = setting.visit("b.test", at, {.alpn = "http/1.1"});
    const auto same = setting.visit("b.test", at, {.alpn = "h2"});
    CHECK_FALSE(other.offered);
    CHECK(other.why == "application protocol not offered");
    CHECK(same.resumed);

    const struct {
      ClientOptions how;
      const char* why;
    } contexts[] = {{{.version = TLS1_2_VERSION}, "TLS version not allowed"},
                    {{.ciphersuites = "TLS_AES_128_GCM_SHA256"}, "cipher not allowed"}};
    for (const auto& one : contexts) {
      Setting setting;
      setting.visit("a.test", at);
      const auto ctx = client_context(one.how);
      tkt_client_attach(setting.client.handle.get(), ctx.get(), nullptr);
      const auto visited = world::visit(setting.client.handle.get(), ctx.get(), "b.test", at.get());
      CHECK_FALSE(visited.offered);
      CHECK(visited.why == one.why);
      CHECK(visited.completed);
    }
  }

  TEST_CASE("client promise: no leak and no race with 8 threads and 10,000 connections") {
#ifdef TICKET_THREADS_FEWER
    constexpr int each = 250;  // the sanitizer is slow; the locks are the same
#else
    constexpr int each = 1250;
#endif
    tkt_client_options options{};
    options.sessions = 40;  // so that there is always something to drop
    Setting setting(options);
    const ContextPtr servers[] = {server(shared), server(shared), server(shared),
                                  server(shared, {.keys = 9})};
    const char* names[] = {"a.test", "b.test", "c.test", "b.test"};
    std::atomic<int> completed{0}, resumed{0};
    std::mutex mutex;
    std::set<std::vector<unsigned char>> offered;
    std::atomic<int> twice{0};
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 8; ++number) {
      threads.emplace_back([&, number] {
        for (int i = 0; i < each; ++i) {
          const auto which = (number + static_cast<unsigned>(i) * 7) % (i % 50 == 0 ? 4 : 3);
          const auto visited = setting.visit(names[which], servers[which]);
          completed += visited.completed ? 1 : 0;
          resumed += visited.resumed ? 1 : 0;
          if (i % 100 == 0) {
            const auto map = i % 200 == 0 ? web : manifest_of({pool_of({"a.test"})});
            tkt_client_manifest_text(setting.client.handle.get(), map.data(), map.size(), nullptr,
                                     0);
            setting.client.counters();
          }
          const std::lock_guard guard(mutex);
          if (visited.offered && !offered.insert(visited.ticket).second) ++twice;
        }
      });
    }
    for (auto& thread : threads) thread.join();

    const auto counters = setting.client.counters();
    CHECK(completed == 8 * each);
    CHECK(resumed > 4 * each);
    CHECK(twice == 0);
    CHECK(counters.prepared == 8 * each);
    CHECK(counters.offered == counters.resumed + counters.refused + counters.failed);
    CHECK(counters.sessions <= 40);
  }
}
