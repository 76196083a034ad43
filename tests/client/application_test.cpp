// What an application may do with an SSL_CTX and an SSL, and what servers may make of it:
// none of it lets one server pass for another, or a ticket go twice.
#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "client/setting.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

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

  TEST_CASE("client promise: a store with functions of its own is left alone") {
    const auto at = server(shared);
    const std::function<void(X509_STORE*)> functions[] = {
        [](X509_STORE* store) { X509_STORE_set_verify(store, [](X509_STORE_CTX*) { return 0; }); },
        [](X509_STORE* store) {
          X509_STORE_set_get_issuer(store, [](X509**, X509_STORE_CTX*, X509*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_check_issued(store, [](X509_STORE_CTX*, X509*, X509*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_check_revocation(store, [](X509_STORE_CTX*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_get_crl(store, [](X509_STORE_CTX*, X509_CRL**, X509*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_check_crl(store, [](X509_STORE_CTX*, X509_CRL*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_cert_crl(store, [](X509_STORE_CTX*, X509_CRL*, X509*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_check_policy(store, [](X509_STORE_CTX*) { return 0; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_lookup_certs(
              store, [](X509_STORE_CTX*, const X509_NAME*) -> STACK_OF(X509) * { return nullptr; });
        },
        [](X509_STORE* store) {
          X509_STORE_set_lookup_crls(
              store, [](const X509_STORE_CTX*, const X509_NAME*) -> STACK_OF(X509_CRL) * {
                return nullptr;
              });
        },
    };
    for (const auto& function : functions) {
      CAPTURE(&function - functions);
      Setting setting;
      setting.visit("a.test", at);
      const auto strict = client_context();
      function(SSL_CTX_get_cert_store(strict.get()));
      tkt_client_attach(setting.client.handle.get(), strict.get(), "");
      const auto visited =
          world::visit(setting.client.handle.get(), strict.get(), "b.test", at.get());
      CHECK_FALSE(visited.offered);
      CHECK(visited.why == "left alone: DANE, OCSP, DTLS, own store or mail address");
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
        {"Suite B", [](SSL* ssl) { SSL_set_cert_flags(ssl, SSL_CERT_FLAG_SUITEB_192_LOS); }},
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
}
