// A ticket that does not open is a full handshake, never an alert, and counted by
// reason.
#include <doctest/doctest.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>

#include "pool.hpp"
#include "support/joined.hpp"

using namespace pool;

namespace {

// A server that has the pool's keys and none of our attribution, such as HAProxy.
ContextPtr key_file_server(std::uint32_t epoch = 1) {
  auto context = server_context("a.test");
  auto key = stek(epoch, "default");
  SSL_CTX_set_tlsext_ticket_keys(context.get(), key.data(), key.size());
  return context;
}

// The same, which opens tickets of the first epoch and seals under the second.
int open_first_seal_second(SSL*, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                           EVP_MAC_CTX* mac, int sealing) {
  auto key = stek(sealing == 1 ? 2 : 1, "default");
  if (sealing == 1) {
    std::copy_n(key.begin(), 16, name);
    RAND_bytes(iv, 16);
  }
  std::string digest = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.data() + 16, 32),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.data() + 48, iv, sealing);
  return EVP_MAC_CTX_set_params(mac, params) == 1 ? 1 + (sealing == 0 ? 1 : 0) : -1;
}

int write_rubbish(SSL* ssl, void*) {
  return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), "rubbish", 7);
}

ContextPtr rubbish_server() {
  auto context = key_file_server();
  SSL_CTX_set_session_ticket_cb(context.get(), write_rubbish, nullptr, nullptr);
  return context;
}

struct Case {
  tkt_status reason;
  std::uint64_t tkt_counters::*counter;
  const char* what;
  // Makes the ticket that will be refused; `server` has its context attached.
  std::function<SessionPtr(Server&, Clock&, SSL_CTX*, int version)> make;
  tkt_openssl_options options{};
  const char* name = "a.test";
};

// TICKET_OFFERS: how many hostile tickets; a million takes a quarter of an hour.
int hostile_offers() {
  const char* wanted = std::getenv("TICKET_OFFERS");
  return wanted == nullptr ? 3000 : std::atoi(wanted);
}

// Resident, in KiB, now.
long resident() {
  std::ifstream statm("/proc/self/statm");
  long size = 0, pages = 0;
  statm >> size >> pages;
  return pages * sysconf(_SC_PAGESIZE) / 1024;
}

SessionPtr own(SSL_CTX* context, int version) {
  return connect(context, {.version = version}).session;
}

SessionPtr flipped(const SSL_SESSION* session, std::size_t at) {
  auto ticket = ticket_of(session);
  ticket[at] ^= 1;
  return with_ticket(session, ticket);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back({TKT_UNKNOWN_KEY, &tkt_counters::unknown_key, "a key name that nobody has",
                 [](Server&, Clock&, SSL_CTX* context, int version) {
                   return flipped(own(context, version).get(), 3);
                 }});
  all.push_back({TKT_UNKNOWN_KEY, &tkt_counters::unknown_key, "a key that was wiped",
                 [](Server& server, Clock& clock, SSL_CTX* context, int version) {
                   auto session = own(context, version);
                   clock.pass(1h);
                   server.publish({{2, 1h, 2h, 14h}});
                   return session;
                 }});
  all.push_back({TKT_CONTEXT, &tkt_counters::context, "the key of another context",
                 [](Server& server, Clock&, SSL_CTX*, int version) {
                   const auto other = attached("a.test", server, {.context = "other"});
                   return own(other.get(), version);
                 }});
  all.push_back({TKT_EXPIRED,
                 &tkt_counters::expired,
                 "a ticket past its lifetime",
                 [](Server&, Clock& clock, SSL_CTX* context, int version) {
                   auto session = own(context, version);
                   clock.pass(601s);
                   return session;
                 },
                 {.lifetime = 600}});
  for (const std::size_t at : {16, 31, 32, 100}) {
    all.push_back({TKT_FORGED, &tkt_counters::forged, "an altered ticket",
                   [at](Server&, Clock&, SSL_CTX* context, int version) {
                     return flipped(own(context, version).get(), at);
                   }});
  }
  all.push_back({TKT_MALFORMED, &tkt_counters::malformed, "attribution that does not parse",
                 [](Server&, Clock&, SSL_CTX*, int version) {
                   return own(rubbish_server().get(), version);
                 }});
  all.push_back(
      {TKT_MALFORMED,
       &tkt_counters::malformed,
       "no attribution where it is required",
       [](Server&, Clock&, SSL_CTX*, int version) { return own(key_file_server().get(), version); },
       {.require_attribution = 1}});
  all.push_back({TKT_MALFORMED, &tkt_counters::malformed,
                 "no attribution where the pool refuses it",
                 [](Server& server, Clock&, SSL_CTX*, int version) {
                   server.policy.unattributed = ticket::ring::Unattributed::refuse;
                   server.publish(hourly(3));
                   return own(key_file_server().get(), version);
                 }});
  all.push_back({TKT_LINEAGE, &tkt_counters::lineage, "a lineage that has ended",
                 [](Server& server, Clock& clock, SSL_CTX* context, int version) {
                   auto session = own(context, version);
                   clock.pass(1h);
                   server.policy.lineage = 30min;
                   server.publish(hourly(3));
                   return session;
                 }});
  all.push_back({TKT_REVOKED, &tkt_counters::revoked, "a minter's tickets of that time revoked",
                 [](Server& server, Clock& clock, SSL_CTX* context, int version) {
                   auto session = own(context, version);
                   server.revocations = {{7, clock.steady, clock.steady}};
                   clock.pass(1s);
                   server.publish(hourly(3));
                   return session;
                 }});
  all.push_back(
      {TKT_NAME,
       &tkt_counters::name,
       "another server name",
       [](Server&, Clock&, SSL_CTX* context, int version) { return own(context, version); },
       {},
       "b.test"});
  all.push_back(
      {TKT_NAME,
       &tkt_counters::name,
       "no server name",
       [](Server&, Clock&, SSL_CTX* context, int version) { return own(context, version); },
       {},
       nullptr});
  return all;
}

}  // namespace

TEST_SUITE("openssl: reasons") {
  TEST_CASE("each reason is a full handshake with a new ticket, counted once, told, no alert") {
    for (const auto& row : cases()) {
      for (const int version : both_versions) {
        CAPTURE(row.what);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 7, clock);
        server.publish(hourly(3));
        const auto context = attached("a.test", server, row.options);
        const auto session = row.make(server, clock, context.get(), version);
        REQUIRE(session);
        const auto before = server.counters();

        const auto refused = connect(
            context.get(), {.version = version, .name = row.name, .session = session.get()});
        const auto after = server.counters();

        CHECK(refused.completed);
        CHECK_FALSE(refused.resumed);
        CHECK_FALSE(refused.disagreed);
        CHECK(refused.server_alerts == 0);
        CHECK(refused.tickets > 0);
        CHECK(refused.info.offered == 1);
        CHECK(refused.info.reason == row.reason);
        CHECK(after.*row.counter == before.*row.counter + 1);
        CHECK(after.resumed_sealing == before.resumed_sealing);
        const auto again =
            connect(context.get(),
                    {.version = version, .name = row.name, .session = refused.session.get()});
        CHECK(again.resumed);
      }
    }
  }

  TEST_CASE("a ticket is counted once around a HelloRetryRequest") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    const auto context = attached("a.test", server);
    SSL_CTX_set1_groups_list(context.get(), "P-256");
    const Client retried{.groups = "X25519:P-256"};
    const auto first = connect(context.get(), retried);
    Client next = retried;
    next.session = first.session.get();

    CHECK(connect(context.get(), next).resumed);
    CHECK(server.counters().resumed_sealing == 1);
    const auto foreign = flipped(first.session.get(), 0);
    next.session = foreign.get();
    CHECK_FALSE(connect(context.get(), next).resumed);
    CHECK(server.counters().unknown_key == 1);
  }

  TEST_CASE("an SSL that is used again tells nothing of the connection before") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(2));
      const auto context = attached("a.test", server);
      const auto foreign = flipped(own(context.get(), version).get(), 0);
      const ContextPtr client(SSL_CTX_new(TLS_client_method()));
      SSL_CTX_set_max_proto_version(client.get(), version);
      const SslPtr to(SSL_new(context.get()));
      const auto visit = [&](SSL_SESSION* session) {
        const SslPtr from(SSL_new(client.get()));
        session == nullptr ? void(SSL_set_options(from.get(), SSL_OP_NO_TICKET))
                           : void(SSL_set_session(from.get(), session));
        support::join(from.get(), to.get());
        REQUIRE(support::shake_hands(from.get(), to.get()));
        tkt_openssl_info info{};
        info.size = sizeof info;
        REQUIRE(tkt_openssl_info_read(to.get(), &info) == TKT_OK);
        return info;
      };
      const auto refused = visit(foreign.get());
      CHECK(refused.offered == 1);
      CHECK(refused.reason == TKT_UNKNOWN_KEY);
      REQUIRE(SSL_clear(to.get()) == 1);
      const auto none = visit(nullptr);
      CHECK(none.offered == 0);
      CHECK(none.reason == TKT_OK);
      CHECK(none.resumed == 0);
      REQUIRE(SSL_clear(to.get()) == 1);
      CHECK(visit(foreign.get()).offered == 1);
      REQUIRE(SSL_clear(to.get()) == 1);
      CHECK(visit(foreign.get()).offered == 1);
      CHECK(server.counters().unknown_key == 3);  // each time, also right after itself
    }
  }

  TEST_CASE("tickets without attribution open, and begin to be attributed") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(3));
      const auto context = attached("a.test", server);
      const auto foreign = own(key_file_server().get(), version);
      clock.pass(1h);

      const auto resumed = connect(context.get(), {.version = version, .session = foreign.get()});
      const auto next =
          connect(context.get(), {.version = version, .session = resumed.session.get()});

      CHECK(resumed.resumed);
      CHECK(resumed.info.minter == 0);
      CHECK(next.resumed);
      CHECK(next.info.minter == 1);
      CHECK(next.info.born <= clock.steady.time_since_epoch().count() - 3600 + 1);
    }
  }

  TEST_CASE("a ticket that such a server seals anew keeps what the first one wrote") {
    for (const bool certificates : {false, true}) {
      for (const int version : both_versions) {
        CAPTURE(certificates);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(3));
        const auto context = attached("a.test", server, {}, certificates);
        const auto first = own(context.get(), version);
        // HAProxy: opens under an older key, seals under the next
        auto plain = server_context("a.test", certificates);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(plain.get(), open_first_seal_second);

        const auto there = connect(plain.get(), {.version = version, .session = first.get()});
        REQUIRE(there.resumed);
        REQUIRE(there.session);
        REQUIRE(ticket_of(there.session.get()) != ticket_of(first.get()));
        const auto back =
            connect(context.get(), {.version = version, .session = there.session.get()});
        CHECK(back.resumed);
        CHECK(back.info.epoch == 2);
        CHECK(back.info.minter == 1);
        CHECK_FALSE(connect(context.get(),
                            {.version = version, .name = "b.test", .session = there.session.get()})
                        .resumed);
      }
    }
  }

  TEST_CASE("what name a ticket resumes under follows the binding") {
    struct {
      tkt_openssl_binding binding;
      int version;
      bool resumes;
    } const rows[] = {
        {TKT_SAME_NAME, TLS1_2_VERSION, false},    {TKT_SAME_NAME, TLS1_3_VERSION, false},
        {TKT_SAME_CONTEXT, TLS1_2_VERSION, false}, {TKT_SAME_CONTEXT, TLS1_3_VERSION, true},
        {TKT_ANY_NAME, TLS1_2_VERSION, true},      {TKT_ANY_NAME, TLS1_3_VERSION, true},
    };
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    for (const auto& row : rows) {
      CAPTURE(row.binding);
      CAPTURE(version_name(row.version));
      const auto context = attached("a.test", server, {.binding = row.binding});
      const auto session = own(context.get(), row.version);
      const auto outcome = connect(
          context.get(), {.version = row.version, .name = "b.test", .session = session.get()});
      CHECK(outcome.completed);
      CHECK(outcome.resumed == row.resumes);
    }
  }

  TEST_CASE("a ticket that tells no minter holds for the name that OpenSSL wrote into it") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    const auto context = attached("a.test", server);
    // another server of the pool that seals under our keys, but without attribution
    const auto plain = server_context("a.test");
    auto key = stek(1, "default");
    SSL_CTX_set_tlsext_ticket_keys(plain.get(), key.data(), key.size());
    switch_by_name(plain.get(), Switch::servername, {{"a.test", plain.get()}});
    const auto session = connect(plain.get(), {.version = TLS1_2_VERSION});

    const auto same =
        connect(context.get(), {.version = TLS1_2_VERSION, .session = session.session.get()});
    const auto other =
        connect(context.get(),
                {.version = TLS1_2_VERSION, .name = "b.test", .session = session.session.get()});
    CHECK(same.resumed);
    CHECK(other.completed);
    CHECK_FALSE(other.resumed);
    CHECK(other.info.reason == TKT_NAME);
  }

  TEST_CASE("where certificates are asked for, TLS 1.3 holds a session to its name's letters") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    for (const bool attributed : {false, true}) {
      CAPTURE(attributed);
      auto context = server_context("a.test", true);
      attach(context.get(), server, {.binding = TKT_SAME_CONTEXT});
      const auto plain = server_context("a.test", true);
      auto key = stek(1, "default");
      SSL_CTX_set_tlsext_ticket_keys(plain.get(), key.data(), key.size());
      auto* minter = attributed ? context.get() : plain.get();
      // by which OpenSSL writes the name into sessions
      switch_by_name(minter, Switch::servername, {{"a.test", minter}});
      const auto session = connect(minter, {.name = "A.test"}).session;
      REQUIRE(session);
      const auto visit = [&](const char* name) {
        return connect(context.get(), {.name = name, .session = session.get()});
      };

      CHECK(visit("A.test").resumed);
      for (const char* name : {"a.test", "b.test", static_cast<const char*>(nullptr)}) {
        const auto other = visit(name);
        CHECK(other.completed);
        CHECK_FALSE(other.resumed);
      }
    }
  }

  TEST_CASE("promise 18: thousands of altered, foreign and random tickets resume nothing") {
    const int offers = hostile_offers();
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    const auto context = attached("a.test", server);
    std::mt19937 random(1);
    std::uint64_t refused = 0;
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      const auto session = own(context.get(), version);
      const auto genuine = ticket_of(session.get());
      [[maybe_unused]] long early = 0;  // resident, when all caches are full
      for (int i = 0; i < offers / 2; ++i) {
        if (i == offers / 10) early = resident();
        auto ticket = genuine;
        if (i % 3 == 0) {
          ticket[random() % ticket.size()] ^= static_cast<unsigned char>(1 + random() % 255);
        } else {
          // random throughout, or under a key name that we have
          for (std::size_t at = i % 3 == 1 ? 0 : 16; at < ticket.size(); ++at) {
            ticket[at] = static_cast<unsigned char>(random());
          }
        }
        const auto hostile = with_ticket(session.get(), ticket);
        const auto outcome = connect(context.get(), {.version = version, .session = hostile.get()});
        REQUIRE(outcome.completed);
        REQUIRE_FALSE(outcome.resumed);
        REQUIRE(outcome.server_alerts == 0);
        ++refused;
      }
#ifndef TICKET_SANITIZED  // which keeps what is freed for a while
      CHECK(resident() < early + 1024);
#endif
    }
    const auto counters = server.counters();
    CHECK(counters.unknown_key + counters.forged + counters.malformed == refused);
    CHECK(counters.resumed_sealing + counters.resumed_opening + counters.resumed_announced == 0);
  }

  TEST_CASE("TLS 1.2 tickets of every length up to a block are full handshakes") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(3));
    const auto context = attached("a.test", server);
    const auto genuine = ticket_of(own(context.get(), TLS1_2_VERSION).get());
    for (std::size_t size = 1; size < 120; ++size) {
      CAPTURE(size);
      const auto before = server.counters();
      const auto outcome =
          connect(context.get(), {.version = TLS1_2_VERSION,
                                  .raw_ticket = {genuine.begin(), genuine.begin() + long(size)}});
      const auto after = server.counters();
      CHECK(outcome.completed);
      CHECK_FALSE(outcome.resumed);
      CHECK(outcome.server_alerts == 0);
      CHECK(outcome.info.reason == (size < 32 ? TKT_MALFORMED : TKT_FORGED));
      CHECK(after.malformed + after.forged == before.malformed + before.forged + 1);
    }
  }
}
