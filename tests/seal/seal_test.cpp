// tkt_seal and tkt_open: what goes in comes out, sizes, contexts, lives.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "ring/derive.hpp"
#include "seal/host.hpp"

using namespace seal_test;

TEST_SUITE("seal") {
  TEST_CASE("what one server sealed another opens, and learns who, when and until when") {
    Clock clock;
    Host one(clock, 1), two(clock, 2);
    one.publish(1, 4);
    two.publish(1, 4);

    clock.pass(10min);
    const auto ticket = seal(one.context(), "alice");
    clock.pass(5min);
    const auto opened = open(two.context(), ticket);

    CHECK(opened.status == TKT_OK);
    CHECK(opened.payload == "alice");
    CHECK(opened.label.epoch == 1);
    CHECK(opened.label.minter == 1);
    CHECK(opened.label.renew == 0);
    const auto made = (noon + 10min).time_since_epoch().count();
    CHECK(opened.label.born == made);
    CHECK(opened.label.sealed == made);
    CHECK(opened.label.expires == made + 12 * 3600);
  }

  TEST_CASE("any payload of up to TKT_PAYLOAD_MAX bytes, in buffers of the sizes that are told") {
    Clock clock;
    Host host(clock);
    host.publish(1, 4);
    auto* context = host.context();
    std::vector<std::size_t> sizes = {TKT_PAYLOAD_MAX - 1, TKT_PAYLOAD_MAX};
    for (std::size_t size = 0; size < 2200; ++size) sizes.push_back(size);

    for (const auto size : sizes) {
      CAPTURE(size);
      std::string payload(size, '\0');
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 7 + size);
      const auto ticket = seal(context, payload);
      CHECK(ticket.size() >= size + 100);
      CHECK(ticket.size() <= size + TKT_SEAL_OVERHEAD);
      CHECK(ticket.size() <= 65535);
      const auto room = tkt_open_size(ticket.size());
      CHECK(room >= size);
      CHECK(room <= size + 15);
      CHECK((open(context, ticket).payload == payload));
    }
    CHECK(tkt_seal_size(TKT_PAYLOAD_MAX + 1) == 0);
    std::string too_long(TKT_PAYLOAD_MAX + 1, 'x');
    std::vector<unsigned char> out(70'000);
    std::size_t size = out.size();
    CHECK(tkt_seal(context, out.data(), &size, too_long.data(), too_long.size(), nullptr) ==
          TKT_BAD_ARGUMENT);
  }

  TEST_CASE("a buffer that is too small changes nothing and learns what is needed") {
    Clock clock;
    Host host(clock);
    host.publish(1, 4);
    auto* context = host.context();
    const std::string payload = "alice";
    Ticket out(tkt_seal_size(payload.size()), 0x77);
    const auto before = out;

    for (std::size_t room = 0; room < out.size(); ++room) {
      auto size = room;
      CHECK(tkt_seal(context, out.data(), &size, payload.data(), payload.size(), nullptr) ==
            TKT_BUFFER_TOO_SMALL);
      CHECK(size == out.size());
    }
    CHECK((out == before));
    CHECK(host.counters().sealed == 0);
    CHECK(host.counters().not_sealed == 0);

    const auto ticket = seal(context, payload);
    const auto needed = tkt_open_size(ticket.size());
    unsigned char payload_out[64];
    std::memset(payload_out, 0x77, sizeof payload_out);
    for (std::size_t room = 0; room < needed; ++room) {
      auto size = room;
      CHECK(tkt_open(context, payload_out, &size, ticket.data(), ticket.size(), nullptr) ==
            TKT_BUFFER_TOO_SMALL);
      CHECK(size == needed);
    }
    for (const auto byte : payload_out) CHECK(byte == 0x77);
    CHECK(host.counters().resumed_sealing == 0);

    auto size = needed;  // exactly enough: not a byte beyond the payload is written
    CHECK(tkt_open(context, payload_out, &size, ticket.data(), ticket.size(), nullptr) == TKT_OK);
    CHECK(size == payload.size());
    for (std::size_t i = size; i < sizeof payload_out; ++i) CHECK(payload_out[i] == 0x77);
  }

  TEST_CASE("the ticket is RFC 5077's, as OpenSSL alone can tell") {
    Clock clock;
    Host host(clock);
    host.publish(3, 5);
    const auto ticket = seal(host.context("logins", "cookie"), std::string(100, 'p'));

    ticket::ByteArray<80> stek;
    ticket::ring::derive_stek(ring_of(hourly(3, 5)).secret(0), "seal/cookie", "web", "logins",
                              stek);
    const auto* key = ticket::raw(stek);
    CHECK(std::memcmp(ticket.data(), key, 16) == 0);
    unsigned char mac[32];
    unsigned size = 0;
    HMAC(EVP_sha256(), key + 16, 32, ticket.data(), ticket.size() - 32, mac, &size);
    CHECK(std::memcmp(ticket.data() + ticket.size() - 32, mac, 32) == 0);

    auto* cipher = EVP_CIPHER_CTX_new();
    EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key + 48, ticket.data() + 16);
    std::vector<unsigned char> plain(ticket.size());
    int first = 0, last = 0;
    EVP_DecryptUpdate(cipher, plain.data(), &first, ticket.data() + 32,
                      static_cast<int>(ticket.size() - 64));
    CHECK(EVP_DecryptFinal_ex(cipher, plain.data() + first, &last) == 1);
    EVP_CIPHER_CTX_free(cipher);
    REQUIRE(first + last == 27 + 8 + 100);
    CHECK(plain[0] == 1);  // the attribution's version
    CHECK(plain[2] == 1);  // its minter
    CHECK(std::string(plain.begin() + 35, plain.begin() + 135) == std::string(100, 'p'));
  }

  TEST_CASE("two tickets of one payload have nothing in common but the key's name") {
    Clock clock;
    Host host(clock);
    host.publish(1, 2);
    const auto a = seal(host.context(), "alice"), b = seal(host.context(), "alice");

    for (std::size_t at = 16; at < a.size(); at += 16) {
      CHECK(std::memcmp(&a[at], &b[at], 16) != 0);
    }
  }

  TEST_CASE("a ticket never leaves its context, nor its purpose") {
    Clock clock;
    Host one(clock), two(clock);
    one.publish(1, 4);
    two.publish(1, 4);
    const auto ticket = seal(one.context("a", "cookie"), "alice");

    CHECK(open(two.context("b", "cookie"), ticket).status == TKT_UNKNOWN_KEY);
    CHECK(open(two.context("a", "cookie"), ticket).status == TKT_OK);
    CHECK(open(two.context("b", "cookie"), ticket).status == TKT_CONTEXT);  // now it is known
    CHECK(open(two.context("a", "session"), ticket).status == TKT_CONTEXT);
    CHECK(open(two.context("a"), ticket).status == TKT_CONTEXT);
    CHECK(one.context("a", "cookie") == one.context("a", "cookie"));
    CHECK(one.context("a", "cookie") != one.context("a", "session"));
    CHECK(one.context() == one.context("default", "ticket"));
  }

  TEST_CASE("names that are too long, and more contexts than a ring takes") {
    Clock clock;
    Host host(clock);
    tkt_context* context = nullptr;
    CHECK(tkt_ring_context(host.ring.get(), nullptr, std::string(256, 'x').c_str(), &context) ==
          TKT_BAD_ARGUMENT);
    CHECK(tkt_ring_context(host.ring.get(), std::string(251, 'x').c_str(), nullptr, &context) ==
          TKT_BAD_ARGUMENT);
    CHECK(tkt_ring_context(host.ring.get(), std::string(250, 'x').c_str(), nullptr, &context) ==
          TKT_OK);
    for (int i = 1; i < 1024; ++i) host.context(std::to_string(i).c_str());
    CHECK(tkt_ring_context(host.ring.get(), nullptr, "one more", &context) == TKT_BAD_ARGUMENT);
    CHECK(context == nullptr);
  }

  TEST_CASE("a ticket is to be renewed once a newer epoch seals, and its lineage goes on") {
    Clock clock;
    Host host(clock);
    host.publish(1, 4);
    auto* context = host.context();
    const auto first = seal(context, "alice");
    CHECK(open(context, first).label.renew == 0);

    clock.pass(90min);
    const auto opened = open(context, first);
    CHECK(opened.label.renew == 1);
    const auto second = seal(context, opened.payload, {.born = opened.label.born});
    const auto again = open(context, second);
    CHECK(again.label.epoch == 2);
    CHECK(again.label.renew == 0);
    CHECK(again.label.born == opened.label.born);
    CHECK(again.label.sealed == opened.label.sealed + 90 * 60);
  }

  TEST_CASE("promise 2: without a ring nothing is sealed and nothing opens") {
    Clock clock;
    Host host(clock);
    tkt_status status = TKT_OK;

    CHECK(seal(host.context(), "alice", {}, &status).empty());
    CHECK(status == TKT_NO_KEY);
    CHECK(open(host.context(), Ticket(112, 0)).status == TKT_UNKNOWN_KEY);

    host.publish(1, 1);
    CHECK(seal(host.context(), "alice").size() == 112);
    clock.pass(1h + host.policy.stretch - 1s);
    CHECK(seal(host.context(), "alice").empty() == false);
    clock.pass(1s);
    CHECK(seal(host.context(), "alice", {}, &status).empty());
    CHECK(status == TKT_NO_KEY);
  }

  TEST_CASE("promise 3: an ended key opens nothing, by the clock alone") {
    Clock clock;
    Host host(clock);
    host.publish(1, 3);
    const auto ticket = seal(host.context(), "alice");

    clock.pass(13h - 1s);
    CHECK(open(host.context(), ticket).status == TKT_EXPIRED);  // its own 12 hours are over
    clock.pass(1s);
    CHECK(open(host.context(), ticket).status == TKT_UNKNOWN_KEY);  // wiped
    clock.wall -= 9 * 24h;  // a clock set back revives no key
    CHECK(open(host.context(), ticket).status == TKT_UNKNOWN_KEY);
  }

  TEST_CASE("promise 3: the wall clock set ahead ends a key too") {
    Clock clock;
    Host host(clock);
    host.publish(1, 3);
    const auto ticket = seal(host.context(), "alice");

    clock.wall += 13h;

    CHECK(open(host.context(), ticket).status == TKT_UNKNOWN_KEY);
  }

  TEST_CASE("promise 4: a ticket outlasts neither its lifetime, its key nor its lineage") {
    struct {
      const char* what;
      seconds lifetime, lineage, asked, sealed_at, born_before, expires_after;
    } const cases[] = {
        {"the policy's lifetime", 12h, 24h, 0s, 0s, 0s, 12h},
        {"a shorter one that was asked for", 12h, 24h, 1h, 0s, 0s, 1h},
        {"never a longer one", 12h, 24h, 48h, 0s, 0s, 12h},
        {"the key's opens_until", 48h, 72h, 0s, 30min, 0s, 12h + 30min},
        {"the lineage", 12h, 24h, 0s, 0s, 20h, 4h},
    };
    for (const auto& c : cases) {
      CAPTURE(c.what);
      Clock clock;
      Host host(clock);
      host.policy.lifetime = c.lifetime;
      host.policy.lineage = c.lineage;
      host.publish(1, 3);
      auto* context = host.context();
      clock.pass(c.sealed_at);
      const auto now = clock.steady.time_since_epoch().count();
      tkt_seal_options options{};
      options.lifetime = static_cast<std::uint32_t>(c.asked.count());
      if (c.born_before != 0s) options.born = now - c.born_before.count();

      const auto ticket = seal(context, "alice", options);

      CHECK(open(context, ticket).label.expires == now + c.expires_after.count());
      clock.pass(c.expires_after - 1s);
      CHECK(open(context, ticket).status == TKT_OK);
      clock.pass(1s);
      CHECK(open(context, ticket).status != TKT_OK);
    }
  }

  TEST_CASE("promise 7: a lineage ends, however often it was renewed") {
    Clock clock;
    Host host(clock);
    host.publish(1, 40);
    auto* context = host.context();
    auto ticket = seal(context, "alice");

    for (int hour = 1; hour < 24; ++hour) {
      clock.pass(1h);
      const auto opened = open(context, ticket);
      REQUIRE(opened.status == TKT_OK);
      ticket = seal(context, opened.payload, {.born = opened.label.born});
    }
    clock.pass(1h - 1s);
    CHECK(open(context, ticket).status == TKT_OK);
    clock.pass(1s);
    CHECK(open(context, ticket).status == TKT_LINEAGE);
    tkt_status status = TKT_OK;
    CHECK(seal(context, "alice", {.born = noon.time_since_epoch().count()}, &status).empty());
    CHECK(status == TKT_LINEAGE);
    // one that says to be born in the future ends none the later for it
    const auto future = open(context, seal(context, "bob", {.born = 1'900'000'000}));
    CHECK(future.label.born == clock.steady.time_since_epoch().count());
  }

  TEST_CASE("promise 11: an all-zero epoch secret makes no keys") {
    Clock clock;
    Host host(clock);
    auto zero = ring_of(hourly(1, 2));
    std::ranges::fill(zero.secrets.fill().first(32), std::byte{0});
    CHECK_FALSE(ticket::ring::RingWriter(host.path, "web").publish(zero, noon).has_value());
    tkt_ring_tend(host.ring.get(), nullptr);

    tkt_status status = TKT_OK;
    CHECK(seal(host.context(), "alice", {}, &status).empty());
    CHECK(status == TKT_NO_KEY);
  }

  TEST_CASE("a revoked member's tickets of that time are not taken") {
    Clock clock;
    Host host(clock, 5);
    host.publish(1, 3);
    const auto before = seal(host.context(), "a");
    clock.pass(10s);
    const auto within = seal(host.context(), "b");

    host.revocations = {{5, noon + 5s, noon + 20s}, {6, noon, noon + 1h}};
    host.publish(1, 3);

    CHECK(open(host.context(), before).status == TKT_OK);
    const auto refused = open(host.context(), within);
    CHECK(refused.status == TKT_REVOKED);
    CHECK(refused.payload.empty());
    CHECK(refused.label.minter == 5);  // for the log
    CHECK(refused.label.sealed == (noon + 10s).time_since_epoch().count());
  }

  TEST_CASE("arguments that cannot be") {
    Clock clock;
    Host host(clock);
    host.publish(1, 2);
    auto* context = host.context();
    unsigned char bytes[256];
    std::size_t size = sizeof bytes;
    tkt_seal_options options{};
    CHECK(tkt_seal(nullptr, bytes, &size, "x", 1, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_seal(context, nullptr, &size, "x", 1, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_seal(context, bytes, nullptr, "x", 1, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_seal(context, bytes, &size, nullptr, 1, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_seal(context, bytes, &size, "x", 1, &options) == TKT_BAD_ARGUMENT);  // no size
    options = {.size = sizeof options, .born = -1};
    CHECK(tkt_seal(context, bytes, &size, "x", 1, &options) == TKT_BAD_ARGUMENT);
    CHECK(tkt_open(nullptr, bytes, &size, bytes, 112, nullptr) == TKT_BAD_ARGUMENT);
    CHECK(tkt_open(context, bytes, &size, nullptr, 112, nullptr) == TKT_BAD_ARGUMENT);
    tkt_opened opened{};
    CHECK(tkt_open(context, bytes, &size, bytes, 112, &opened) == TKT_BAD_ARGUMENT);  // no size
    CHECK(tkt_ring_context(nullptr, nullptr, nullptr, &context) == TKT_BAD_ARGUMENT);
  }

  TEST_CASE("an empty payload, and none to write to") {
    Clock clock;
    Host host(clock);
    host.publish(1, 2);
    const auto ticket = seal(host.context(), "");
    const auto opened = open(host.context(), ticket);
    CHECK(opened.status == TKT_OK);
    CHECK(opened.payload.empty());
    std::size_t none = 0;
    CHECK(tkt_seal(host.context(), nullptr, &none, "x", 1, nullptr) == TKT_BUFFER_TOO_SMALL);
    CHECK(none == tkt_seal_size(1));
  }

  TEST_CASE("threads seal and open while the ring rotates under them") {
    Clock clock;
    Host host(clock);
    host.publish(1, 30);
    auto* context = host.context();
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0}, done{0};
    std::vector<std::thread> threads;
    for (int number = 0; number < 18; ++number) {  // more than there are groups of threads
      threads.emplace_back([&, number] {
        const std::string payload(static_cast<std::size_t>(number) * 13, static_cast<char>(number));
        while (!stop) {
          Ticket ticket(tkt_seal_size(payload.size()));
          std::size_t size = ticket.size(), length = ticket.size();
          std::string out(ticket.size(), '\0');
          if (tkt_seal(context, ticket.data(), &size, payload.data(), payload.size(), nullptr) !=
                  TKT_OK ||
              tkt_open(context, out.data(), &length, ticket.data(), size, nullptr) != TKT_OK ||
              out.substr(0, length) != payload) {
            ++wrong;
          }
          ++done;
        }
      });
    }
    for (std::uint32_t i = 0; i < 25; ++i) {
      host.publish(hourly(1, 20 + i % 10));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(done > 1000);
  }
}
