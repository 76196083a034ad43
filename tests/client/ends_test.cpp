// How handshakes end, and what that says of the server.
#include <doctest/doctest.h>
#include <openssl/err.h>

#include <cstring>

#include "client/setting.hpp"
#include "support/joined.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

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

}  // namespace

TEST_SUITE("client: ends") {
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

  TEST_CASE("a handshake that the application gives up at once says nothing of the server") {
    Setting setting;
    const auto a = server(shared);
    setting.visit("a.test", a);
    for (int i = 0; i < 3; ++i) {
      setting.visit("a.test", a);
      const auto given_up =
          setting.visit("b.test", a, {.server_dies = 1, .waits = [&] { setting.client.pass(1s); }});
      CHECK(given_up.offered);
    }
    CHECK(setting.visit("b.test", a).resumed);
    CHECK(setting.client.counters().doubted == 0);
    CHECK(setting.client.counters().failed == 3);
  }

  TEST_CASE("of addresses that race, the one that loses costs the next race nothing") {
    Setting setting;
    const auto at = server(shared);
    setting.visit("a.test", at);
    for (int race = 0; race < 6; ++race) {
      CAPTURE(race);
      setting.visit("b.test", at);  // so that there are tickets for both
      const auto first = setting.connection();
      auto second = setting.connection();
      REQUIRE(setting.prepare(first, "a.test"));
      REQUIRE(setting.prepare(second, "a.test"));
      CHECK(info_of(first.get()).offered == 1);
      SSL_set_connect_state(second.get());
      SSL_set_bio(second.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      SSL_do_handshake(second.get());
      REQUIRE(connect(first.get(), at.get()));
      CHECK(info_of(first.get()).resumed == 1);
      second.reset();
    }
  }

  TEST_CASE("a server that is silent at tickets is offered two of them in ten minutes") {
    Setting setting;
    const auto a = server(shared), b = server(shared);
    int stalled = 0;
    const auto at_b = [&] {
      setting.visit("a.test", a);
      // silent at a ticket, and no other way
      const auto ssl = setting.connection();
      REQUIRE(setting.prepare(ssl, "b.test"));
      const bool offers = info_of(ssl.get()).offered == 1;
      if (!offers) return connect(ssl.get(), b.get());
      SSL_set_connect_state(ssl.get());
      SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      BIO_set_mem_eof_return(SSL_get_rbio(ssl.get()), -1);
      SSL_do_handshake(ssl.get());
      setting.client.pass(10s);
      ++stalled;
      return false;
    };
    for (int i = 0; i < 12; ++i) at_b();
    CHECK(stalled == 2);
    setting.client.pass(601s);
    for (int i = 0; i < 12; ++i) at_b();
    CHECK(stalled == 3);
  }

  TEST_CASE("a server that hangs up speaks against itself") {
    const auto a = server(shared);
    for (const bool writing : {false, true}) {
      CAPTURE(writing);
      Setting setting;
      setting.visit("a.test", a);
      const auto ssl = setting.connection();
      REQUIRE(setting.prepare(ssl, "c.test"));
      REQUIRE(info_of(ssl.get()).offered == 1);
      const SslPtr theirs(SSL_new(a.get()));
      support::join(ssl.get(), theirs.get());
      support::advance(ssl.get());
      CHECK(setting.client.counters().failed == 0);
      if (writing) {  // the server has answered, and our Finished finds nobody
        support::advance(theirs.get());
        BIO* broken = BIO_new_mem_buf("", 0);
        SSL_set0_wbio(ssl.get(), broken);
      } else {
        BIO_set_mem_eof_return(SSL_get_rbio(ssl.get()), 0);
      }
      SSL_do_handshake(ssl.get());
      ERR_clear_error();
      CHECK(setting.client.counters().failed == 1);
      CHECK(setting.client.counters().doubted == 1);
    }
  }

  TEST_CASE("a ClientHello that cannot be made, or does not go, says nothing of the server") {
    const auto a = server(shared);
    for (const bool made : {false, true}) {
      CAPTURE(made);
      Setting setting;
      SSL_CTX_add_custom_ext(
          setting.ctx.get(), 0xfff0, SSL_EXT_CLIENT_HELLO,
          [](SSL* ssl, unsigned, unsigned, const unsigned char**, std::size_t*, X509*, std::size_t,
             int* alert, void*) {
            *alert = SSL_AD_INTERNAL_ERROR;
            return SSL_get_app_data(ssl) == nullptr ? 0 : -1;
          },
          nullptr, nullptr, nullptr, nullptr);
      for (int i = 0; i < 4; ++i) {
        setting.visit("a.test", a);
        setting.visit("b.test", a);
        const auto ssl = setting.connection();
        REQUIRE(setting.prepare(ssl, "b.test"));
        SSL_set_connect_state(ssl.get());
        SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()),
                    made ? BIO_new_mem_buf("", 0) : BIO_new(BIO_s_mem()));
        if (!made) SSL_set_app_data(ssl.get(), ssl.get());
        CHECK(SSL_do_handshake(ssl.get()) == -1);
        CHECK(SSL_get_error(ssl.get(), -1) != SSL_ERROR_WANT_READ);
        ERR_clear_error();
      }
      CHECK(setting.client.counters().doubted == 0);
      setting.visit("b.test", a);
      setting.visit("a.test", a);
      CHECK(setting.visit("b.test", a).resumed);
    }
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
}
