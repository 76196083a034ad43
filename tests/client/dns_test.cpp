// Pools that DNS names, from a real server and from one that lies.
#include "client/dns.hpp"

#include <dirent.h>
#include <doctest/doctest.h>

#include "client/pool_dns.hpp"
#include "client/world.hpp"

using namespace world;
using namespace std::chrono_literals;
using ticket::client::PoolDns;

namespace {

const Leaf shared{"DNS:a.test,DNS:b.test,DNS:c.test"};
// libunbound keeps answers too: for their TTL of two seconds, in whole seconds of its clock.
constexpr auto longest_kept = 3100ms;
const std::string zone = R"(_tls-pool.a TXT "v=1 pool=web"
_tls-pool.b TXT "v=1 pool=web"
_tls-pool.parts TXT "v=1 po" "ol=web"
_tls-pool.twice TXT "v=1 pool=web"
_tls-pool.twice TXT "v=1 pool=api"
_tls-pool.mixed TXT "v=1 pool=web"
_tls-pool.mixed TXT "v=spf1 -all"
_tls-pool.later TXT "v=2 pool=web"
_tls-pool.alias CNAME _tls-pool.a
_tls-pool.loop CNAME _tls-pool.pool
_tls-pool.pool CNAME _tls-pool.loop
_tls-pool.short 2 TXT "v=1 pool=web"
)";

struct DnsClient : Client {
  explicit DnsClient(const std::string& address, unsigned wait = 0, const char* manifest = nullptr)
      : Client(options(address, wait), manifest) {}
  static tkt_client_options options(const std::string& address, unsigned wait) {
    tkt_client_options options{};
    options.dns = 1;
    options.dns_server = address.c_str();
    options.dns_wait_ms = wait;
    return options;
  }
};

int threads() {
  int count = 0;
  DIR* tasks = opendir("/proc/self/task");
  while (tasks != nullptr && readdir(tasks) != nullptr) ++count;
  closedir(tasks);
  return count - 2;
}

}  // namespace

TEST_SUITE("client: DNS") {
  TEST_CASE("a real server's records name pools") {
    const dns::Nsd nsd(zone);
    PoolDns pools(nsd.address(), real_now);
    const struct {
      const char *host, *pool;  // nullptr = none
    } cases[] = {
        {"a.test", "web"},       {"b.test", "web"},      {"parts.test", "web"},
        {"twice.test", nullptr}, {"mixed.test", "web"},  {"later.test", nullptr},
        {"alias.test", "web"},   {"loop.test", nullptr}, {"nobody.test", nullptr},
    };
    for (const auto& one : cases) {
      CAPTURE(one.host);
      const auto pool = pools.find(one.host, 5s);
      CHECK(pool.has_value() == (one.pool != nullptr));
      if (pool && one.pool != nullptr) CHECK(*pool == one.pool);
    }
    CHECK(pools.counts().ignored == 4);  // twice: 2, mixed: 1, later: 1
    CHECK(pools.counts().queries == 9);
    CHECK_FALSE(pools.find(std::string(250, 'a'), 5s));  // no room for the prefix
    CHECK(pools.counts().queries == 9);
  }

  TEST_CASE("answers are known at once the second time, also that there is none, to their end") {
    dns::Nsd nsd(zone);
    std::atomic<std::int64_t> now{std::time(nullptr)};
    PoolDns pools(nsd.address(), [&] { return sys_seconds(seconds(now)); });
    CHECK(pools.find("short.test", 5s) == "web");
    CHECK_FALSE(pools.find("nobody.test", 5s));
    for (int i = 0; i < 5; ++i) {
      pools.find("nobody.test", 0ms);
      CHECK(pools.find("short.test", 0ms) == "web");
    }
    CHECK(pools.counts().queries == 2);
    now += 1;  // the last tenth of a TTL asks anew
    CHECK(pools.find("short.test", 0ms) == "web");
    CHECK(support::wait_until([&] { return pools.counts().answers == 3; }, 30s));

    nsd.replace("_tls-pool.short TXT \"v=1 pool=api\"\n_tls-pool.nobody TXT \"v=1 pool=web\"\n");
    std::this_thread::sleep_for(longest_kept);
    now += 5;

    CHECK_FALSE(pools.find("short.test", 0ms));  // over: not known
    CHECK(pools.find("short.test", 30s) == "api");
    CHECK(pools.find("nobody.test", 30s) == "web");
  }

  TEST_CASE("a failure is none of the answers, and holds for half a minute") {
    const dns::Liar liar(dns::Lie::servfail);
    std::atomic<std::int64_t> now{std::time(nullptr)};
    PoolDns pools(liar.address(), [&] { return sys_seconds(seconds(now)); });
    CHECK_FALSE(pools.find("a.test", 30s));
    CHECK(pools.counts().failures == 1);
    CHECK(pools.counts().answers == 0);

    now += 26;
    CHECK_FALSE(pools.find("a.test", 30s));
    CHECK(pools.counts().queries == 1);
    now += 4;
    CHECK_FALSE(pools.find("a.test", 30s));
    CHECK(pools.counts().queries == 2);
  }

  TEST_CASE("what was answered under a clock that ran ahead is asked for again once it is right") {
    const dns::Nsd nsd("_tls-pool.a 3600 TXT \"v=1 pool=web\"\n");
    std::atomic<std::int64_t> now{std::time(nullptr) + 365 * 86400};
    PoolDns pools(nsd.address(), [&] { return sys_seconds(seconds(now)); });
    CHECK(pools.find("a.test", 30s) == "web");
    CHECK_FALSE(pools.find("nobody.test", 30s));
    now -= 300;  // clocks differ by as much
    CHECK(pools.find("a.test", 0ms) == "web");
    REQUIRE(pools.counts().queries == 2);

    now -= 364 * 86400;
    CHECK_FALSE(pools.find("a.test", 0ms));
    CHECK(pools.find("a.test", 30s) == "web");
    CHECK_FALSE(pools.find("nobody.test", 30s));
    CHECK(pools.counts().queries == 4);
  }

  TEST_CASE("an answer with no time to live serves who asked") {
    const dns::Nsd nsd("_tls-pool.a 0 TXT \"v=1 pool=web\"\n");
    const auto then = real_now();
    PoolDns pools(nsd.address(), [=] { return then; });
    CHECK(pools.find("a.test", 30s) == "web");
    CHECK(pools.find("a.test", 0ms) == "web");
  }

  TEST_CASE("an address is not looked up") {
    const dns::Liar liar(dns::Lie::huge_ttl);
    DnsClient client(liar.address(), 5000);
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto at = server({"IP:192.0.2.1"});

    const auto visited =
        visit(client.handle.get(), ctx.get(), "192.0.2.1", at.get(), {.checks_host = false});

    CHECK(visited.completed);
    CHECK(visited.pool == "host:192.0.2.1:443");
    CHECK(client.counters().dns_queries == 0);
  }

  TEST_CASE("client promise: a ticket stays in its pool when a record changes, too") {
    dns::Nsd nsd("_tls-pool.a 2 TXT \"v=1 pool=web\"\n_tls-pool.b 2 TXT \"v=1 pool=web\"\n");
    DnsClient client(nsd.address(), 30000);
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto at = server(shared);
    const auto go = [&](const char* name, const VisitOptions& how = {}) {
      return visit(client.handle.get(), ctx.get(), name, at.get(), how);
    };
    go("a.test");  // two tickets of it
    const auto before = go("b.test", {.read_tickets = false});
    CHECK(before.pool == "dns:web");
    CHECK(before.ticket_of == "a.test:443");

    nsd.replace("_tls-pool.a TXT \"v=1 pool=api\"\n_tls-pool.b TXT \"v=1 pool=web\"\n");
    std::this_thread::sleep_for(longest_kept);
    client.pass(5s);
    const auto unknown = go("b.test", {.read_tickets = false});  // a's record is asked for again
    const auto moved = go("a.test", {.read_tickets = false});
    const auto known = go("b.test", {.read_tickets = false});

    CHECK(unknown.pool == "dns:web");
    CHECK_FALSE(unknown.offered);
    CHECK(unknown.why == "of a server outside the pool");
    CHECK(unknown.completed);
    CHECK(moved.pool == "dns:api");
    CHECK_FALSE(moved.offered);
    CHECK(known.pool == "dns:web");
    CHECK_FALSE(known.offered);
    CHECK(known.why == "of a server outside the pool");
  }

  TEST_CASE("an answer that no memory was left for is asked for again") {
    const dns::Liar liar(dns::Lie::huge_ttl);  // every name is of pool web
    std::atomic<bool> broken{true};
    const auto mine = std::this_thread::get_id();
    PoolDns pools(liar.address(), [&] {
      const bool fails = broken && std::this_thread::get_id() != mine;
      return fails ? throw std::bad_alloc() : real_now();
    });
    CHECK_FALSE(pools.find("a.test", 30s));
    CHECK(liar.questions() > 0);
    broken = false;
    CHECK(pools.find("a.test", 30s) == "web");
  }

  TEST_CASE("a client finds the pool by DNS: late, for the next connection, or waits for it") {
    const dns::Nsd nsd(zone);
    for (const unsigned wait : {0U, 5000U}) {
      CAPTURE(wait);
      DnsClient client(nsd.address(), wait);
      const auto ctx = client_context();
      tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
      const auto at = server(shared);
      const auto go = [&](const char* name) {
        return visit(client.handle.get(), ctx.get(), name, at.get());
      };

      const auto first = go("a.test");
      CHECK(first.pool == (wait == 0 ? "host:a.test:443" : "dns:web"));
      const auto second = go("b.test");
      CHECK(second.resumed == (wait != 0));
      CHECK(support::wait_until([&] { return go("b.test").pool == "dns:web"; }, 5s));
      CHECK(support::wait_until([&] { return go("a.test").ticket_of == "b.test:443"; }, 5s));
      CHECK(go("b.test").resumed);
      CHECK(client.counters().dns_answers >= 2);
    }
  }

  TEST_CASE("the manifest's word goes before DNS, and their ids do not meet") {
    const dns::Nsd nsd(zone);
    // in the manifest b.test alone is "web"; in DNS a.test is too
    const auto manifest = manifest_of({pool_of({"b.test"}, "web"), pool_of({"c.test"}, "api")});
    DnsClient client(nsd.address(), 5000, manifest.c_str());
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto at = server(shared);
    const auto go = [&](const char* name) {
      return visit(client.handle.get(), ctx.get(), name, at.get());
    };

    const auto a = go("a.test");
    const auto b = go("b.test");

    CHECK(a.pool == "dns:web");
    CHECK(b.pool == "manifest:web");
    CHECK_FALSE(b.offered);
  }

  TEST_CASE("client promise: a full handshake, never an error or a delay, whatever DNS says") {
    using dns::Lie;
    const std::pair<Lie, const char*> lies[] = {
        {Lie::silence, "silence"},     {Lie::servfail, "SERVFAIL"}, {Lie::refused, "REFUSED"},
        {Lie::nxdomain, "NXDOMAIN"},   {Lie::empty, "no record"},   {Lie::garbage, "garbage"},
        {Lie::cut, "cut short"},       {Lie::other_id, "other id"}, {Lie::alias_loop, "a loop"},
        {Lie::truncated, "truncated"}, {Lie::many, "40 records"},   {Lie::malformed, "malformed"},
        {Lie::huge_ttl, "136 years"},
    };
    const auto at = server(shared);
    const auto time_of_three = [&](const std::string& resolver) {
      DnsClient client(resolver);
      const auto ctx = client_context();
      tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
      const auto began = std::chrono::steady_clock::now();
      for (const auto* host : {"a.test", "a.test", "b.test"}) {
        visit(client.handle.get(), ctx.get(), host, at.get());
      }
      return std::chrono::steady_clock::now() - began;
    };
    for (const auto& [lie, name] : lies) {
      const std::string what = name;
      CAPTURE(what);
      const dns::Liar liar(lie);
      DnsClient client(liar.address());
      const auto ctx = client_context();
      tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
      const auto go = [&](const char* host) {
        return visit(client.handle.get(), ctx.get(), host, at.get());
      };

      const auto began = std::chrono::steady_clock::now();
      const auto first = go("a.test"), second = go("a.test"), other = go("b.test");
      auto took = std::chrono::steady_clock::now() - began;
      CHECK(support::wait_until([&] { return liar.questions() > 0; }, 5s));
      std::this_thread::sleep_for(100ms);
      const auto later = go("b.test");

      CHECK(first.completed);
      CHECK(second.resumed);  // the host alone, as ever
      CHECK(other.completed);
      CHECK(later.completed);
      // a machine may stand still, once; who waits for DNS does so for each new client
      for (int i = 0; took >= 2s && i < 2; ++i) took = time_of_three(liar.address());
      CHECK(took < 2s);
      if (lie != Lie::huge_ttl) CHECK(later.pool == "host:b.test:443");
      const auto counters = client.counters();
      CHECK(counters.failed == 0);
      if (lie == Lie::many) {
        CHECK(support::wait_until([&] { return client.counters().dns_ignored >= 40; }, 5s));
      }
    }
  }

  TEST_CASE("a lie about the pool shares no ticket that the certificate does not cover") {
    const dns::Liar liar(dns::Lie::huge_ttl);  // all names are of pool web
    DnsClient client(liar.address(), 5000);
    const auto ctx = client_context();
    tkt_client_attach(client.handle.get(), ctx.get(), nullptr);
    const auto bank = server({"DNS:a.test"}), thief = server({"DNS:b.test"});
    visit(client.handle.get(), ctx.get(), "a.test", bank.get());

    const auto visited = visit(client.handle.get(), ctx.get(), "b.test", thief.get());

    CHECK(visited.pool == "dns:web");
    CHECK_FALSE(visited.offered);
    CHECK(visited.completed);
  }

  TEST_CASE("waiting has an end") {
    const dns::Liar liar(dns::Lie::silence);
    PoolDns pools(liar.address(), real_now);
    const auto began = std::chrono::steady_clock::now();
    CHECK_FALSE(pools.find("a.test", 200ms));
    const auto took = std::chrono::steady_clock::now() - began;
    CHECK(took >= 200ms);
    CHECK(took < 2s);
  }

  TEST_CASE("a client that asks no DNS starts no thread") {
    // the kernel lists a thread that was joined for a moment still
    int before = threads();
    REQUIRE(support::wait_until(
        [&] {
          std::this_thread::sleep_for(50ms);
          const int earlier = std::exchange(before, threads());
          return before == earlier;
        },
        20s));
    Client client;
    CHECK(threads() == before);
    const dns::Liar liar(dns::Lie::silence);
    {
      DnsClient asking(liar.address());
      CHECK(threads() > before + 1);
    }
    CHECK(support::wait_until([&] { return threads() == before + 1; }, 20s));  // the liar's
  }

  TEST_CASE("a resolver that cannot be is refused, and named") {
    tkt_client_options options{};
    options.size = sizeof options;
    options.dns = 1;
    options.dns_server = "no.address@53";
    std::string said;
    options.log = [](void* user, tkt_log_level, const char* text) {
      *static_cast<std::string*>(user) += text;
    };
    options.log_user = &said;
    tkt_client* client = nullptr;
    CHECK(tkt_client_open(&client, &options) == TKT_BAD_ARGUMENT);
    CHECK(client == nullptr);
    CHECK(said.find("no.address@53") != std::string::npos);
  }
}
