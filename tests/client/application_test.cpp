// What an application may do with an SSL_CTX and an SSL, and what servers may make of it:
// none of it lets one server pass for another, or a ticket go twice.
#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <cstring>

#include "client/attachment.hpp"
#include "client/world.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

const auto web = manifest_of({pool_of({"a.test", "b.test", "c.test"})});
const Leaf shared{"DNS:a.test,DNS:b.test,DNS:c.test"};

// A client of the pool "web" and its SSL_CTX.
struct Setting {
  explicit Setting(const ClientOptions& how = {}, const std::string& manifest = web)
      : client({}, manifest.c_str()), ctx(client_context(how)) {
    attach("");
  }
  void attach(const char* partition) {
    REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), partition) == TKT_OK);
  }
  Visit visit(const std::string& host, const ContextPtr& at, const VisitOptions& how = {}) {
    return world::visit(client.handle.get(), ctx.get(), host, at.get(), how);
  }
  Visit visit(const std::string& host, const ContextPtr& at, std::function<void(SSL*)> set_up) {
    return visit(host, at, VisitOptions{.set_up = std::move(set_up)});
  }
  SslPtr connection() const { return SslPtr(SSL_new(ctx.get())); }
  bool prepare(const SslPtr& ssl, const char* host) {
    return tkt_client_prepare(client.handle.get(), ssl.get(), host, 443) == TKT_OK;
  }
  Client client;
  ContextPtr ctx;
};

// A server's key as a TLSA record of its own making.
void trust_by_dane(SSL* ssl, const ContextPtr& at, const char* name) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(X509_get0_pubkey(SSL_CTX_get0_certificate(at.get())), &der);
  unsigned char digest[32];
  unsigned length = 0;
  EVP_Digest(der, static_cast<std::size_t>(size), digest, &length, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  REQUIRE(SSL_dane_enable(ssl, name) == 1);
  REQUIRE(SSL_dane_tlsa_add(ssl, 3, 1, 1, digest, length) == 1);
}

// A server that ends the handshake when it is shown a ticket of others (its own: keys 1).
int fail_at_strangers(SSL*, unsigned char name[16], unsigned char iv[], EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int seal) {
  static const unsigned char key[32] = {7};
  if (seal == 0 && name[0] != 'o') return -1;
  std::memset(name, 'o', 16);
  if (seal == 1) std::memset(iv, 1, 16);
  OSSL_PARAM digest[] = {
      OSSL_PARAM_construct_octet_string("key", const_cast<unsigned char*>(key), sizeof key),
      OSSL_PARAM_construct_utf8_string("digest", const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_end()};
  EVP_MAC_CTX_set_params(mac, digest);
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key, iv, seal);
}

using InfoCallback = void (*)(const SSL*, int, int);
InfoCallback behind = nullptr;
int told = 0;
void chained_info(const SSL* ssl, int where, int value) {
  ++told;
  if (behind != nullptr) behind(ssl, where, value);
}
using NewSessionCallback = int (*)(SSL*, SSL_SESSION*);
NewSessionCallback sessions_behind = nullptr;
int chained_session(SSL* ssl, SSL_SESSION* session) {
  ++told;
  return sessions_behind == nullptr ? 0 : sessions_behind(ssl, session);
}

}  // namespace

TEST_SUITE("client: applications") {
  TEST_CASE("client promise: a chain that DANE vouched for vouches for no other name") {
    Setting setting;
    SSL_CTX_dane_enable(setting.ctx.get());
    const auto evil = server(shared, {.foreign = true}), good = server(shared);

    const auto by_dane = setting.visit(
        "c.test", evil,
        {.checks_host = false, .set_up = [&](SSL* ssl) { trust_by_dane(ssl, evil, "c.test"); }});
    const auto by_name = setting.visit("b.test", evil);

    CHECK(by_dane.completed);
    CHECK_FALSE(by_name.offered);
    CHECK_FALSE(by_name.completed);  // which it would, had it resumed

    setting.visit("a.test", good);  // and what was verified by name is nothing to DANE
    const auto again = setting.visit(
        "a.test", evil,
        {.checks_host = false, .set_up = [&](SSL* ssl) { trust_by_dane(ssl, evil, "a.test"); }});
    CHECK_FALSE(again.offered);
    CHECK(again.why == "left alone: DANE, OCSP, DTLS, own store or mail address");
    CHECK(again.completed);
  }

  TEST_CASE("client promise: nor does one that a store of the connection's own vouched for") {
    Setting setting;
    const auto evil = server(shared, {.foreign = true});
    const auto trusting = [&](SSL* ssl) {
      X509_STORE* store = X509_STORE_new();
      X509_STORE_add_cert(store, SSL_CTX_get0_certificate(evil.get()));
      X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
      SSL_set0_verify_cert_store(ssl, store);
    };

    const auto own = setting.visit("a.test", evil, trusting);
    const auto others = setting.visit("b.test", evil);

    CHECK(own.completed);
    CHECK_FALSE(others.offered);
    CHECK_FALSE(others.completed);  // which it would, had it resumed
    CHECK_FALSE(setting.visit("a.test", evil).completed);
    // one that all connections of an SSL_CTX have is whom that trusts
    SSL_CTX_set1_verify_cert_store(setting.ctx.get(), SSL_CTX_get_cert_store(setting.ctx.get()));
    const auto good = server(shared);
    CHECK(setting.visit("a.test", good).completed);
    CHECK(setting.visit("b.test", good).resumed);
  }

  TEST_CASE("client promise: what a store is told of verifying counts as the connection's does") {
    const auto wildcard = server({"DNS:a.test,DNS:*.b.test"});
    const auto manifest = manifest_of({pool_of({"a.test", "x.b.test"})});
    const struct {
      const char* what;
      std::function<void(X509_STORE*)> strict;
      const char* why;
    } cases[] = {
        {"revocation",
         [](X509_STORE* store) { X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK); },
         "other verification settings"},
        {"depth", [](X509_STORE* store) { X509_STORE_set_depth(store, 0); },
         "other verification settings"},
        {"host flags",
         [](X509_STORE* store) {
           X509_VERIFY_PARAM_set_hostflags(X509_STORE_get0_param(store),
                                           X509_CHECK_FLAG_NO_WILDCARDS);
         },
         "other verification settings"},
        {"callback",
         [](X509_STORE* store) {
           X509_STORE_set_verify_cb(store, [](int, X509_STORE_CTX*) { return 0; });
         },
         "other verification settings"},
        {"function",
         [](X509_STORE* store) { X509_STORE_set_verify(store, [](X509_STORE_CTX*) { return 0; }); },
         "left alone: DANE, OCSP, DTLS, own store or mail address"},
        {"host",
         [](X509_STORE* store) {
           X509_VERIFY_PARAM_set1_host(X509_STORE_get0_param(store), "y.test", 0);
         },
         "left alone: DANE, OCSP, DTLS, own store or mail address"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.what);
      Setting setting({}, manifest);
      setting.visit("a.test", wildcard);
      const auto strict = client_context();
      one.strict(SSL_CTX_get_cert_store(strict.get()));
      tkt_client_attach(setting.client.handle.get(), strict.get(), "");
      const auto visited =
          world::visit(setting.client.handle.get(), strict.get(), "x.b.test", wildcard.get());
      CHECK_FALSE(visited.offered);
      CHECK(visited.why == one.why);
    }
  }

  TEST_CASE("client promise: a callback's yes to one name is none to another") {
    // trust on first use: the certificate that was seen first is let pass
    Setting setting;
    SSL_CTX_set_verify(setting.ctx.get(), SSL_VERIFY_PEER, [](int ok, X509_STORE_CTX* chain) {
      const auto* ssl = static_cast<SSL*>(
          X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
      if (ok == 1 || SSL_get_app_data(ssl) == nullptr) return ok;
      X509_STORE_CTX_set_error(chain, X509_V_OK);
      return 1;
    });
    const auto evil = server(shared, {.foreign = true});
    const auto accepted = [](SSL* ssl) { SSL_set_app_data(ssl, ssl); };

    CHECK(setting.visit("a.test", evil, accepted).completed);
    const auto other = setting.visit("b.test", evil);

    CHECK_FALSE(other.offered);
    CHECK(other.why == "other name, verified by a callback");
    CHECK_FALSE(other.completed);  // which it would, had it resumed
    CHECK(setting.visit("a.test", evil, accepted).resumed);
  }

  TEST_CASE("client promise: a store that is filled when the server answers is compared then") {
    // as libcurl 7.87 to 8.3 does it
    ticket::client::ClientOptions options;
    options.clock = real_now;
    const auto client = std::make_shared<ticket::client::Client>(options);
    REQUIRE(client->use_manifest(web));
    const auto at = server(shared);
    static unsigned long flags = 0;
    struct Came {
      bool completed, resumed;
      long verified;
    };
    const auto go = [&](const std::string& host, unsigned long filled_with) {
      flags = filled_with;
      const auto ctx = client_context();
      SSL_CTX_set_msg_callback(
          ctx.get(), [](int writes, int, int, const void*, std::size_t, SSL* ssl, void*) {
            if (writes != 0) return;
            X509_STORE_set_flags(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), flags);
          });
      REQUIRE(ticket::client::attach(client, ctx.get(), "",
                                     ticket::client::Server::parse(host + ":443")));
      const SslPtr ssl(SSL_new(ctx.get()));
      SSL_set_tlsext_host_name(ssl.get(), host.c_str());
      const bool completed = connect(ssl.get(), at.get());
      if (completed) SSL_shutdown(ssl.get());
      return Came{completed, SSL_session_reused(ssl.get()) == 1, SSL_get_verify_result(ssl.get())};
    };
    constexpr auto lax = X509_V_FLAG_TRUSTED_FIRST, strict = X509_V_FLAG_CRL_CHECK;

    CHECK(go("a.test", lax).completed);
    const auto alike = go("b.test", lax);
    CHECK(alike.resumed);
    CHECK(alike.verified == X509_V_OK);
    const auto other = go("c.test", strict);
    CHECK(other.resumed);
    CHECK(other.verified == X509_V_ERR_APPLICATION_VERIFICATION);  // which ends the transfer
    const auto full = go("c.test", strict);
    CHECK_FALSE(full.resumed);
    CHECK(full.verified == X509_V_ERR_UNABLE_TO_GET_CRL);
    // and once it is known that they differ, nothing is guessed any more
    CHECK(go("a.test", lax).completed);
    CHECK_FALSE(go("a.test", lax).resumed);
  }

  TEST_CASE("client promise: a handshake that the client is not told of keeps nothing") {
    const auto evil = server({"DNS:evil.test"}, {.keys = 5});
    for (const bool first_seen : {false, true}) {
      CAPTURE(first_seen);
      Setting setting;
      const auto a = server(shared);
      const auto ssl = setting.connection();
      const auto hide = [&] { SSL_set_info_callback(ssl.get(), [](const SSL*, int, int) {}); };
      SSL_set1_host(ssl.get(), "a.test");
      REQUIRE(setting.prepare(ssl, "a.test"));
      if (!first_seen) hide();
      REQUIRE(connect(ssl.get(), a.get()));
      const auto stored = setting.client.counters().stored;
      CHECK(stored == (first_seen ? 2 : 0));
      if (first_seen) hide();
      SSL_shutdown(ssl.get());
      SSL_clear(ssl.get());
      SSL_set_session(ssl.get(), nullptr);
      SSL_set1_host(ssl.get(), "evil.test");
      SSL_set_tlsext_host_name(ssl.get(), "evil.test");

      REQUIRE(connect(ssl.get(), evil.get()));

      CHECK(setting.client.counters().stored == stored);
      if (!first_seen) CHECK_FALSE(setting.visit("b.test", evil).completed);
    }
  }

  TEST_CASE("client promise: what changes after a connection was prepared is looked at again") {
    Setting setting;
    const auto stricter = client_context();
    SSL_CTX_set_cert_store(stricter.get(), X509_STORE_new());  // trusts nobody
    REQUIRE(tkt_client_attach(setting.client.handle.get(), stricter.get(), "other") == TKT_OK);
    SSL_CTX_dane_enable(setting.ctx.get());
    const auto at = server(shared);
    const struct {
      const char* what;
      std::function<void(SSL*)> change;
    } cases[] = {
        {"SSL_CTX", [&](SSL* ssl) { SSL_set_SSL_CTX(ssl, stricter.get()); }},
        {"settings", [](SSL* ssl) { SSL_set_security_level(ssl, 4); }},
        {"host to check", [](SSL* ssl) { SSL_set1_host(ssl, "y.test"); }},
        {"server name", [](SSL* ssl) { SSL_set_tlsext_host_name(ssl, "y.test"); }},
        {"client certificate",
         [&](SSL* ssl) { SSL_use_certificate(ssl, SSL_CTX_get0_certificate(at.get())); }},
        {"DANE", [](SSL* ssl) { SSL_dane_enable(ssl, "a.test"); }},
    };
    for (const auto& one : cases) {
      CAPTURE(one.what);
      setting.visit("a.test", at);
      const auto ssl = setting.connection();
      REQUIRE(setting.prepare(ssl, "a.test"));
      REQUIRE(info_of(ssl.get()).offered == 1);
      one.change(ssl.get());
      connect(ssl.get(), at.get());
      CHECK(SSL_session_reused(ssl.get()) == 0);
      CHECK(info_of(ssl.get()).offered == 0);
      CHECK(std::string(info_of(ssl.get()).why) == "changed after it was prepared");
    }
  }

  TEST_CASE("client promise: nor does what it brings pass for the one that was prepared") {
    Setting setting;
    const auto evil = server(shared, {.foreign = true});
    const auto trusting = client_context();
    SSL_CTX_set_cert_store(trusting.get(), X509_STORE_new());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(trusting.get()),
                        SSL_CTX_get0_certificate(evil.get()));
    X509_STORE_set_flags(SSL_CTX_get_cert_store(trusting.get()), X509_V_FLAG_PARTIAL_CHAIN);
    // the same settings, other CAs
    X509_STORE_set_flags(SSL_CTX_get_cert_store(setting.ctx.get()), X509_V_FLAG_PARTIAL_CHAIN);
    REQUIRE(tkt_client_attach(setting.client.handle.get(), trusting.get(), "other") == TKT_OK);
    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "a.test"));
    SSL_set_SSL_CTX(ssl.get(), trusting.get());
    REQUIRE(connect(ssl.get(), evil.get()));

    CHECK(setting.client.counters().stored == 0);
    CHECK_FALSE(setting.visit("a.test", evil).completed);
  }

  TEST_CASE("client promise: nor when DANE came after the connection was prepared") {
    Setting setting;
    SSL_CTX_dane_enable(setting.ctx.get());
    const auto evil = server(shared, {.foreign = true});
    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "c.test"));
    trust_by_dane(ssl.get(), evil, "c.test");
    REQUIRE(connect(ssl.get(), evil.get()));

    const auto by_name = setting.visit("b.test", evil);

    CHECK_FALSE(by_name.offered);
    CHECK_FALSE(by_name.completed);  // which it would, had it resumed
  }

  TEST_CASE("client promise: who demands a stapled OCSP response is offered nothing") {
    Setting setting;
    const auto at = server(shared);
    setting.visit("a.test", at);
    const auto demanding = [](SSL* ssl) {
      SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    };
    const auto stored = setting.client.counters().stored;
    const auto visited = setting.visit("b.test", at, demanding);
    CHECK(visited.completed);
    CHECK_FALSE(visited.offered);
    CHECK(visited.why == "left alone: DANE, OCSP, DTLS, own store or mail address");
    CHECK(setting.client.counters().stored == stored);
  }

  TEST_CASE("client promise: DTLS 1.2 does not pass for TLS 1.3") {
    Client client({}, web.c_str());
    const ContextPtr ctx(SSL_CTX_new(DTLS_client_method()));
    const ContextPtr at(SSL_CTX_new(DTLS_server_method()));
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_QUERY_MTU);
    const auto tls = server(shared);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx.get()), authority().certificate.get());
    SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_use_certificate(at.get(), SSL_CTX_get0_certificate(tls.get()));
    SSL_CTX_use_PrivateKey(at.get(), SSL_CTX_get0_privatekey(tls.get()));
    REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), nullptr) == TKT_OK);
    for (const auto* name : {"a.test", "b.test"}) {
      const SslPtr ssl(SSL_new(ctx.get()));
      SSL_set_mtu(ssl.get(), 15'000);
      REQUIRE(tkt_client_prepare(client.handle.get(), ssl.get(), name, 443) == TKT_OK);
      CHECK(connect(ssl.get(), at.get()));
      CHECK(info_of(ssl.get()).offered == 0);
      SSL_shutdown(ssl.get());
    }
    CHECK(client.counters().stored == 0);
  }

  TEST_CASE("client promise: a session goes with the client certificate that it came with") {
    Setting setting;
    const auto at = server(shared, {.client_certificate = true});
    const auto show = [&](SSL* ssl) {
      SSL_use_certificate(ssl, SSL_CTX_get0_certificate(at.get()));
      SSL_use_PrivateKey(ssl, SSL_CTX_get0_privatekey(at.get()));
    };
    for (const bool shown : {true, false}) {
      CAPTURE(shown);
      const auto as = [&](bool same) {
        return same == shown ? std::function<void(SSL*)>(show) : nullptr;
      };
      CHECK(setting.visit("a.test", at, as(true)).completed);
      const auto other = setting.visit("b.test", at, as(false));
      CHECK_FALSE(other.offered);
      CHECK(other.why == "other client certificate");
      CHECK(other.completed);
      CHECK(setting.visit("c.test", at, as(true)).resumed);
      setting.attach(shown ? "other" : "");  // none of these sessions
    }
  }

  TEST_CASE("client promise: an SSL that is used again unprepared keeps and offers nothing") {
    Setting setting;
    const auto a = server({"DNS:a.test,DNS:b.test"}), evil = server({"DNS:c.test"}, {.keys = 5});
    const auto ssl = setting.connection();
    SSL_set1_host(ssl.get(), "a.test");
    REQUIRE(setting.prepare(ssl, "a.test"));
    REQUIRE(connect(ssl.get(), a.get()));
    const auto stored = setting.client.counters().stored;
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());
    const auto last = ticket_of(ssl.get());
    REQUIRE_FALSE(last.empty());
    SSL_set1_host(ssl.get(), "c.test");
    SSL_set_tlsext_host_name(ssl.get(), "c.test");

    REQUIRE(connect(ssl.get(), evil.get()));

    // evil's ticket is not of a.test's lineage, and a.test's last one did not go to evil
    CHECK(setting.client.counters().stored == stored);
    CHECK(info_of(ssl.get()).why[0] == '\0');
    const auto other = setting.visit("b.test", evil);
    CHECK_FALSE(other.resumed);
    CHECK_FALSE(other.completed);
  }

  TEST_CASE("client promise: nor does a ticket go twice by SSL_clear") {
    Setting setting;
    const auto a = server(shared);
    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "a.test"));
    REQUIRE(connect(ssl.get(), a.get()));
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());

    REQUIRE(connect(ssl.get(), a.get()));

    CHECK(SSL_session_reused(ssl.get()) == 0);  // its last ticket is the cache's
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());
    REQUIRE(setting.prepare(ssl, "a.test"));
    REQUIRE(connect(ssl.get(), a.get()));
    CHECK(info_of(ssl.get()).resumed == 1);
  }

  TEST_CASE("client promise: nor by SSL_dup") {
    Setting setting;
    const auto a = server(shared);
    setting.visit("a.test", a);
    const auto one = setting.connection();
    SSL_set_connect_state(one.get());
    REQUIRE(setting.prepare(one, "a.test"));
    const SslPtr two(SSL_dup(one.get()));
    REQUIRE(SSL_get_session(two.get()) != nullptr);

    CHECK(connect(two.get(), a.get()));
    CHECK(SSL_session_reused(two.get()) == 0);
    CHECK(connect(one.get(), a.get()));
    CHECK(SSL_session_reused(one.get()) == 1);
  }

  TEST_CASE("client promise: the names that OpenSSL is told to check count too") {
    Setting setting;
    const auto at = server({"DNS:a.test,DNS:x.test"});
    const auto checking = [&](const char* name) {
      return setting.visit("a.test", at, {.checks_host = false, .set_up = [=](SSL* ssl) {
                                            SSL_set1_host(ssl, name);
                                          }});
    };
    CHECK(checking("x.test").completed);
    const auto lacking = checking("y.test");
    CHECK_FALSE(lacking.offered);
    CHECK(lacking.why == "certificate of another name");
    CHECK_FALSE(lacking.completed);
    CHECK(checking("x.test").resumed);
    CHECK(setting
              .visit("a.test", at,
                     {.checks_host = false,
                      .set_up =
                          [](SSL* ssl) {
                            SSL_set1_host(ssl, "y.test");
                            SSL_add1_host(ssl, "x.test");
                          }})
              .resumed);
    const auto address = setting.visit("a.test", at, {.checks_host = false, .set_up = [](SSL* ssl) {
                                                        X509_VERIFY_PARAM_set1_ip_asc(
                                                            SSL_get0_param(ssl), "192.0.2.1");
                                                      }});
    CHECK_FALSE(address.offered);
    const auto mail = setting.visit("a.test", at, {.checks_host = false, .set_up = [](SSL* ssl) {
                                                     X509_VERIFY_PARAM_set1_email(
                                                         SSL_get0_param(ssl), "m@a.test", 0);
                                                   }});
    CHECK_FALSE(mail.offered);
  }

  TEST_CASE("client promise: a stricter connection resumes nothing that it would refuse") {
    const auto wildcard = server({"DNS:a.test,DNS:*.b.test"});
    const auto manifest = manifest_of({pool_of({"a.test", "x.b.test"})});
    const struct {
      const char* what;
      std::function<void(SSL*)> strict;
      const char* why = "other verification settings";
    } cases[] = {
        {"security level", [](SSL* ssl) { SSL_set_security_level(ssl, 4); }},
        {"host flags", [](SSL* ssl) { SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_WILDCARDS); }},
        {"certificate transparency",
         [](SSL* ssl) { SSL_enable_ct(ssl, SSL_CT_VALIDATION_STRICT); },  // asks for OCSP too
         "left alone: DANE, OCSP, DTLS, own store or mail address"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.what);
      Setting setting({}, manifest);
      setting.visit("a.test", wildcard);
      const auto visited = setting.visit("x.b.test", wildcard, one.strict);
      CHECK_FALSE(visited.offered);
      CHECK(visited.why == one.why);
      CHECK_FALSE(visited.completed);
    }
    // also when all connections are so: a wildcard is then good for no name
    Setting setting({}, manifest);
    CHECK(setting.visit("a.test", wildcard, cases[1].strict).completed);
    const auto visited = setting.visit("x.b.test", wildcard, cases[1].strict);
    CHECK_FALSE(visited.offered);
    CHECK(visited.why == "certificate of another name");
  }

  TEST_CASE("a server that ends handshakes at tickets of others does so once in ten minutes") {
    Setting setting;
    const auto a = server(shared), b = server(shared);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(b.get(), fail_at_strangers);
    const auto at_b = [&] {
      setting.visit("a.test", a);
      return setting.visit("b.test", b);
    };
    CHECK_FALSE(at_b().completed);
    for (int i = 0; i < 6; ++i) CHECK(at_b().completed);
    CHECK(setting.client.counters().failed == 1);
    CHECK(setting.client.counters().doubted == 1);
    setting.client.pass(601s);
    CHECK_FALSE(at_b().completed);
    for (int i = 0; i < 6; ++i) CHECK(at_b().completed);
    setting.client.pass(601s);
    CHECK(at_b().completed);  // twenty minutes now
  }

  TEST_CASE("a ticket too long for others' handshakes is not kept") {
    Setting setting;
    const auto a = server(shared), b = server(shared, {.keys = 2});
    static std::size_t size = 0;
    SSL_CTX_set_session_ticket_cb(
        a.get(),
        [](SSL* ssl, void*) {
          const std::string data(size, 'x');
          return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data.data(), data.size());
        },
        nullptr, nullptr);
    for (const std::size_t appended : {65'000, 16'000, 8'000}) {
      CAPTURE(appended);
      size = appended;
      CHECK(setting.visit("a.test", a).completed);
      CHECK(setting.client.counters().stored == 0);
      const auto innocent = setting.visit("c.test", b, {.read_tickets = false});
      CHECK(innocent.completed);
      CHECK(innocent.pool == "manifest:web");
    }
    size = 4'000;
    setting.visit("a.test", a);
    CHECK(setting.client.counters().stored == 2);
  }

  TEST_CASE("a handshake that the application gives up speaks against no server") {
    Setting setting;
    const auto a = server(shared);
    const auto doubted = [&] { return setting.client.counters().doubted; };
    for (int i = 0; i < 3; ++i) {
      setting.visit("a.test", a);
      CHECK(setting.visit("b.test", a, {.server_dies = 1}).offered);  // nothing was heard
      CHECK(doubted() == 0);
      const auto next = setting.visit("b.test", a);
      CHECK(next.why == "after a failed handshake");
      CHECK(next.completed);
    }
    CHECK(setting.visit("b.test", a).resumed);

    setting.visit("a.test", a);
    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "c.test"));
    REQUIRE(info_of(ssl.get()).offered == 1);
    SSL_set_connect_state(ssl.get());
    BIO* from = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(from, -1);
    SSL_set_bio(ssl.get(), from, BIO_new(BIO_s_mem()));
    SSL_do_handshake(ssl.get());
    CHECK(doubted() == 0);
    BIO_set_mem_eof_return(from, 0);
    SSL_do_handshake(ssl.get());  // it hung up
    ERR_clear_error();
    CHECK(doubted() == 1);
  }

  TEST_CASE("a server that ends handshakes at any ticket is soon offered none") {
    Setting setting;
    const auto a = server(shared), b = server(shared, {.client_certificate = true});
    for (const auto& one : {a.get(), b.get()}) SSL_CTX_set_session_id_context(one, nullptr, 0);
    int failed = 0;
    for (int i = 0; i < 12; ++i) {
      setting.visit("a.test", a);
      failed += setting.visit("b.test", b).completed ? 0 : 1;
    }
    CHECK(failed == 2);  // one at a's ticket, one at its own
  }

  TEST_CASE("a session id context of the client's own is no end of a handshake") {
    Setting setting;
    const auto at = server(shared);
    const auto other = client_context();
    const unsigned char name[] = "other";
    SSL_CTX_set_session_id_context(other.get(), name, 5);
    tkt_client_attach(setting.client.handle.get(), other.get(), "");
    setting.visit("a.test", at);

    const auto visited = world::visit(setting.client.handle.get(), other.get(), "b.test", at.get());

    CHECK(visited.completed);
    CHECK(visited.resumed);
    // nor for a session that the application then sets itself
    const SslPtr first(SSL_new(other.get()));
    REQUIRE(connect(first.get(), at.get()));
    const SessionPtr own(SSL_get1_session(first.get()));
    const SslPtr second(SSL_new(other.get()));
    setting.visit("a.test", at);
    REQUIRE(setting.prepare(second, "a.test"));
    SSL_set_session(second.get(), own.get());
    CHECK(connect(second.get(), at.get()));
    CHECK(SSL_session_reused(second.get()) == 1);
  }

  TEST_CASE("callbacks that are chained behind one another do not call in circles") {
    Setting setting;
    const auto at = server(shared);
    auto* ctx = setting.ctx.get();
    behind = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, chained_info);
    sessions_behind = SSL_CTX_sess_get_new_cb(ctx);
    SSL_CTX_sess_set_new_cb(ctx, chained_session);
    setting.attach("");
    told = 0;
    CHECK(setting.visit("a.test", at).completed);
    CHECK(told > 0);
    CHECK(setting.visit("b.test", at).resumed);

    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "a.test"));
    behind = SSL_get_info_callback(ssl.get());
    SSL_set_info_callback(ssl.get(), chained_info);
    told = 0;
    REQUIRE(connect(ssl.get(), at.get()));
    CHECK(told > 0);
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());
    REQUIRE(setting.prepare(ssl, "a.test"));
    REQUIRE(connect(ssl.get(), at.get()));
    CHECK(info_of(ssl.get()).resumed == 1);
  }

  TEST_CASE("client promise: an SSL that is used again goes by its SSL_CTX's partition of now") {
    Setting setting;
    const auto at = server(shared);
    setting.attach("alice");
    const auto ssl = setting.connection();
    setting.visit("a.test", at);
    REQUIRE(setting.prepare(ssl, "c.test"));
    setting.attach("bob");

    REQUIRE(setting.prepare(ssl, "a.test"));

    CHECK(info_of(ssl.get()).offered == 0);
    Client another;
    tkt_client_attach(another.handle.get(), setting.ctx.get(), "");
    REQUIRE(tkt_client_prepare(another.handle.get(), ssl.get(), "a.test", 443) == TKT_OK);
    REQUIRE(connect(ssl.get(), at.get()));
    CHECK(another.counters().stored == 2);
  }

  TEST_CASE("early data goes, and is counted as the resumption that it is") {
    Setting setting;
    const auto at = server(shared, {.early_data = true});
    setting.visit("a.test", at);
    const auto ssl = setting.connection();
    REQUIRE(setting.prepare(ssl, "a.test"));
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), out, out);  // takes one reference when both are the same
    SSL_set_connect_state(ssl.get());
    std::size_t written = 0;
    REQUIRE(SSL_write_early_data(ssl.get(), "x", 1, &written) == 1);
    CHECK(info_of(ssl.get()).ended == 0);

    const SslPtr theirs(SSL_new(at.get()));
    BIO* back = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(back, -1);
    BIO_set_mem_eof_return(out, -1);
    BIO_up_ref(back);
    BIO_up_ref(out);
    SSL_set_bio(theirs.get(), out, back);
    SSL_set0_rbio(ssl.get(), back);
    SSL_set_accept_state(theirs.get());
    char early = 0;
    std::size_t got = 0;
    REQUIRE(SSL_read_early_data(theirs.get(), &early, 1, &got) == SSL_READ_EARLY_DATA_SUCCESS);
    CHECK(early == 'x');
    for (int i = 0; i < 4; ++i) {
      SSL_do_handshake(ssl.get());
      SSL_read_early_data(theirs.get(), &early, 1, &got);
      SSL_do_handshake(theirs.get());
    }
    ERR_clear_error();
    CHECK(SSL_is_init_finished(ssl.get()));
    CHECK(info_of(ssl.get()).resumed == 1);
    CHECK(setting.client.counters().resumed == 1);
    CHECK(setting.client.counters().refused == 0);
  }

  TEST_CASE("client promise: a PSK of the application's own carries no lineage on") {
    static SSL_SESSION* psk = nullptr;
    static const unsigned char id[] = "psk";
    Setting setting;
    const auto at = server(shared);
    setting.visit("a.test", at);
    {
      const auto ssl = setting.connection();
      psk = SSL_SESSION_new();
      const unsigned char key[48] = {1}, suite[] = {0x13, 0x02};
      SSL_SESSION_set1_master_key(psk, key, sizeof key);
      SSL_SESSION_set_cipher(psk, SSL_CIPHER_find(ssl.get(), suite));
      SSL_SESSION_set_protocol_version(psk, TLS1_3_VERSION);
    }
    const auto evil = server({"DNS:x.test"}, {.keys = 5, .foreign = true});
    SSL_CTX_set_psk_find_session_callback(
        evil.get(), [](SSL*, const unsigned char* name, std::size_t size, SSL_SESSION** out) {
          *out = nullptr;
          if (size == 3 && std::memcmp(name, id, 3) == 0) {
            SSL_SESSION_up_ref(psk);
            *out = psk;
          }
          return 1;
        });
    const auto stored = setting.client.counters().stored;
    const auto visited = setting.visit("a.test", evil, [](SSL* ssl) {
      SSL_set_psk_use_session_callback(ssl, [](SSL*, const EVP_MD*, const unsigned char** name,
                                               std::size_t* size, SSL_SESSION** out) {
        SSL_SESSION_up_ref(psk);
        *name = id;
        *size = 3;
        *out = psk;
        return 1;
      });
    });
    CHECK(visited.offered);
    CHECK(visited.completed);
    CHECK(setting.client.counters().stored == stored);
    CHECK(setting.client.counters().resumed == 0);
    CHECK_FALSE(setting.visit("b.test", evil).completed);
    SSL_SESSION_free(psk);
  }

  TEST_CASE("TLS 1.2: a ticket that a resumption renewed replaces the one before") {
    Setting setting({.version = TLS1_2_VERSION});
    const auto before = server(shared), after = server(shared, {.keys = 2});
    setting.visit("a.test", before);
    // opens what `before` sealed, and has them renewed
    SSL_CTX_set_tlsext_ticket_key_evp_cb(
        before.get(), [](SSL*, unsigned char name[16], unsigned char iv[], EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int seal) {
          static unsigned char key[32] = {7};
          if (seal == 1) {
            std::memset(name, 'o', 16);
            std::memset(iv, 1, 16);
          }
          OSSL_PARAM digest[] = {
              OSSL_PARAM_construct_octet_string("key", key, sizeof key),
              OSSL_PARAM_construct_utf8_string("digest", const_cast<char*>("SHA256"), 0),
              OSSL_PARAM_construct_end()};
          EVP_MAC_CTX_set_params(mac, digest);
          EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key, iv, seal);
          return seal == 1 ? 1 : name[0] == 'o' ? 2 : 0;
        });
    setting.visit("a.test", before);  // a full one: sealed by the new key
    const auto second = setting.visit("a.test", before);
    const auto third = setting.visit("a.test", before);

    CHECK(second.resumed);
    CHECK(third.resumed);
    CHECK(third.ticket != second.ticket);
    CHECK(setting.client.counters().sessions == 1);
  }
}
