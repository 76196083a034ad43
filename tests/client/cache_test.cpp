// The session cache by itself.
#include <doctest/doctest.h>
#include <malloc.h>

#include <thread>

#include "client/session_cache.hpp"
#include "client/world.hpp"

using namespace world;
using namespace std::chrono_literals;
using ticket::client::Server;
using ticket::client::Session;
using ticket::client::SessionCache;
using ticket::client::Verdict;

namespace {

Session session_of(const std::string& server, const std::string& name,
                   int version = TLS1_3_VERSION) {
  ticket::client::Lineage lineage;
  lineage.name = name;
  lineage.born = real_now();
  lineage.leaf = test::with_names("DNS:" + name);
  Session session{nullptr,
                  ticket::client::make_lineage(std::move(lineage)),
                  *Server::parse(server),
                  "",
                  real_now(),
                  real_now() + 1h};
  session.session.reset(SSL_SESSION_new());
  session.version = version;
  return session;
}

// Another session of the same lineage.
Session like(const Session& one) {
  Session session{ticket::client::SessionPtr(SSL_SESSION_new()),
                  one.lineage,
                  one.server,
                  one.alpn,
                  one.received,
                  one.expires};
  session.version = one.version;
  return session;
}

const auto any = [](const Session&) { return Verdict::yes; };

}  // namespace

TEST_SUITE("client: session cache") {
  TEST_CASE("TLS 1.3 sessions are taken newest first, each once") {
    SessionCache cache({});
    for (const auto* server : {"a.test:1", "a.test:2", "a.test:3"}) {
      cache.put("", "pool", session_of(server, "a.test"));
    }
    CHECK(cache.take("", "pool", any).session->server.text() == "a.test:3");
    CHECK(cache.take("", "pool", any).session->server.text() == "a.test:2");
    CHECK(cache.take("", "pool", any).session->server.text() == "a.test:1");
    CHECK_FALSE(cache.take("", "pool", any).session);
    CHECK(cache.size() == 0);
  }

  TEST_CASE("a TLS 1.2 session stays, and its server's next one replaces it") {
    SessionCache cache({});
    cache.put("", "pool", session_of("a.test:1", "a.test", TLS1_2_VERSION));
    CHECK(cache.take("", "pool", any).session);
    CHECK(cache.take("", "pool", any).session);
    cache.put("", "pool", session_of("a.test:1", "a.test", TLS1_2_VERSION));
    CHECK(cache.size() == 1);
    cache.put("", "pool", session_of("b.test:1", "b.test", TLS1_2_VERSION));
    CHECK(cache.size() == 2);
  }

  TEST_CASE("partition and pool are kept apart, however they are cut") {
    SessionCache cache({});
    cache.put("a", "bc", session_of("a.test:1", "a.test"));
    CHECK_FALSE(cache.take("ab", "c", any).session);
    CHECK_FALSE(cache.take("", "abc", any).session);
    CHECK_FALSE(cache.take("bc", "a", any).session);
    CHECK(cache.take("a", "bc", any).session);
  }

  TEST_CASE("what the judge says of the newest is told; what it calls expired goes") {
    SessionCache cache({});
    cache.put("", "pool", session_of("a.test:1", "a.test"));
    cache.put("", "pool", session_of("a.test:2", "a.test"));
    const auto refused = cache.take("", "pool", [](const Session& session) {
      return session.server.text() == "a.test:2" ? Verdict::alpn : Verdict::expired;
    });
    CHECK_FALSE(refused.session);
    CHECK(refused.why == Verdict::alpn);
    CHECK(cache.size() == 1);
  }

  TEST_CASE("a name has so many sessions in a pool, a pool so many, all so many") {
    SessionCache cache({.sessions = 20, .per_name = 3, .per_pool = 8});
    for (int i = 1; i <= 10; ++i) {
      cache.put("", "pool", session_of("a.test:" + std::to_string(i), "a.test"));
    }
    CHECK(cache.size() == 3);
    CHECK(cache.take("", "pool", any).session->server.text() == "a.test:10");
    for (char name = 'b'; name < 'z'; ++name) {
      cache.put("", "pool", session_of("x.test:1", std::string(1, name) + ".test"));
    }
    CHECK(cache.size() == 8);
    for (int i = 0; i < 30; ++i) {
      cache.put("", "pool" + std::to_string(i), session_of("x.test:1", "x.test"));
    }
    CHECK(cache.size() == 20);
    CHECK(cache.dropped() == 18);  // the whole first pool, then ten of one
    CHECK_FALSE(cache.take("", "pool", any).session);
    CHECK_FALSE(cache.take("", "pool9", any).session);
    CHECK(cache.take("", "pool10", any).session);
  }

  TEST_CASE("names that fill a pool leave the others something") {
    SessionCache cache({});
    cache.put("", "dns:web", session_of("a.test:443", "a.test"));
    for (int name = 0; name < 40; ++name) {
      for (int i = 0; i < 4; ++i) {
        cache.put("", "dns:web", session_of("x.test:1", "evil" + std::to_string(name) + ".test"));
      }
    }
    CHECK(cache.size() == 64);
    CHECK(cache
              .take("", "dns:web",
                    [](const Session& session) {
                      return session.lineage->name == "a.test" ? Verdict::yes : Verdict::moved;
                    })
              .session);
  }

  TEST_CASE("threads that are over the limit together drop one pool for each that is too many") {
    constexpr std::size_t limit = 100, threads = 8, each = 2000;
    SessionCache cache({.sessions = limit});
    const auto one = session_of("a.test:1", "a.test");
    std::vector<std::thread> running;
    for (std::size_t thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        for (std::size_t i = 0; i < each; ++i) {
          cache.put("", std::to_string(thread * each + i), like(one));
        }
      });
    }
    for (auto& thread : running) thread.join();
    CHECK(cache.size() == limit);
    CHECK(cache.dropped() == threads * each - limit);
  }

  TEST_CASE("pools are dropped in the order of their last use") {
    SessionCache cache({.sessions = 3});
    const auto none = [](const Session&) { return Verdict::alpn; };
    for (const auto* pool : {"a", "b", "c"}) cache.put("", pool, session_of("x.test:1", "x.test"));
    cache.take("", "a", none);
    cache.put("", "d", session_of("x.test:1", "x.test"));
    CHECK(cache.take("", "b", none).why == Verdict::none);
    cache.put("", "e", session_of("x.test:1", "x.test"));
    CHECK(cache.take("", "c", none).why == Verdict::none);
    CHECK(cache.take("", "a", none).why == Verdict::alpn);
  }

  TEST_CASE("that order holds among many") {
    constexpr int many = 400, more = many / 2;
    SessionCache cache({.sessions = many});
    const auto none = [](const Session&) { return Verdict::alpn; };
    const auto has = [&](int pool) {
      return cache.take("", std::to_string(pool), none).why != Verdict::none;
    };
    const auto one = session_of("x.test:1", "x.test");
    const auto put = [&](int pool) { cache.put("", std::to_string(pool), like(one)); };
    for (int pool = 0; pool < many; ++pool) put(pool);
    for (int pool = 0; pool < many; pool += 2) has(pool);

    for (int pool = many; pool < many + more; ++pool) put(pool);

    for (int pool = 0; pool < many + more; ++pool) {
      CAPTURE(pool);
      CHECK(has(pool) == (pool >= many || pool % 2 == 0));
    }
  }

  TEST_CASE("a pool that was dropped has nothing, whoever is in its place") {
    constexpr int limit = 10;
    SessionCache cache({.sessions = limit});
    const auto one = session_of("x.test:1", "x.test");
    int found = 0;
    for (int pool = 0; pool < 400; ++pool) {
      cache.put("", std::to_string(pool), like(one));
      for (int old = 0; old <= pool - limit; ++old) {
        found += cache.take("", std::to_string(old), any).session ? 1 : 0;
      }
    }
    CHECK(found == 0);
    CHECK(cache.size() == limit);
  }

  TEST_CASE("pools that nothing is kept of take no memory for long") {
    SessionCache cache({.sessions = 64});
    const auto one = session_of("x.test:1", "x.test");
    const auto used = [] {
      const auto info = mallinfo2();
      return info.uordblks + info.hblkhd;
    };
    const auto before = used();
    for (int pool = 0; pool < 40'000; ++pool) {
      cache.put("", std::to_string(pool), like(one));
      REQUIRE(cache.take("", std::to_string(pool), any).session);
    }
    CHECK(used() < before + (4 << 20));
  }

  TEST_CASE("a small limit is that of a pool too, and does not empty the cache") {
    SessionCache cache({.sessions = 8});
    for (int i = 0; i < 12; ++i) {
      cache.put("", "pool", session_of("x.test:1", "name" + std::to_string(i) + ".test"));
    }
    CHECK(cache.size() == 8);
    CHECK(cache.dropped() == 0);
  }
}
