// Connections that are used again, copied or shared with callbacks and sessions of the
// application's own.
#include <doctest/doctest.h>

#include <cstring>

#include "client/setting.hpp"

using namespace world;
using namespace std::chrono_literals;

namespace {

using InfoCallback = void (*)(const SSL*, int, int);
// One of several info callbacks, each of which calls the one that it found.
template <int>
struct Link {
  static InfoCallback& behind() {
    static InfoCallback callback = nullptr;
    return callback;
  }
  static int& told() {
    static int count = 0;
    return count;
  }
  static void call(const SSL* ssl, int where, int value) {
    if ((where & (SSL_CB_HANDSHAKE_START | SSL_CB_HANDSHAKE_DONE)) != 0) ++told();
    if (behind() != nullptr) behind()(ssl, where, value);
  }
};
using NewSessionCallback = int (*)(SSL*, SSL_SESSION*);
NewSessionCallback sessions_behind = nullptr;
int sessions_told = 0;
int chained_session(SSL* ssl, SSL_SESSION* session) {
  ++sessions_told;
  return sessions_behind == nullptr ? 0 : sessions_behind(ssl, session);
}

std::string asked_name(const SslPtr& ssl) {
  const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

}  // namespace

TEST_SUITE("client: reuse") {
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

  TEST_CASE(
      "client promise: an SSL that is used again asks for the server that it is prepared for") {
    Setting setting({}, manifest_of({pool_of({"a.test"}, "one"), pool_of({"b.test"}, "two")}));
    const auto a = server({"DNS:a.test"}), b = server({"DNS:b.test"});
    setting.visit("a.test", a);
    const auto ssl = setting.connection();
    SSL_set1_host(ssl.get(), "a.test");
    REQUIRE(setting.prepare(ssl, "a.test"));
    REQUIRE(connect(ssl.get(), a.get()));
    CHECK(info_of(ssl.get()).resumed == 1);
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());
    SSL_set1_host(ssl.get(), "b.test");

    REQUIRE(setting.prepare(ssl, "b.test"));

    CHECK(asked_name(ssl) == "b.test");
    CHECK(std::string(info_of(ssl.get()).pool) == "manifest:two");
    CHECK(info_of(ssl.get()).offered == 0);
    CHECK(connect(ssl.get(), b.get()));
    SSL_shutdown(ssl.get());
    SSL_clear(ssl.get());
    REQUIRE(setting.prepare(ssl, "192.0.2.1"));
    CHECK(asked_name(ssl) == "");
    // one that the application sets counts, as ever
    SSL_set_tlsext_host_name(ssl.get(), "a.test");
    REQUIRE(setting.prepare(ssl, "b.test"));
    CHECK(asked_name(ssl) == "a.test");
    REQUIRE(setting.prepare(ssl, "b.test"));
    CHECK(asked_name(ssl) == "a.test");
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

  TEST_CASE(
      "client promise: nor does a copy of SSL_dup take a session of TLS 1.2 to another host") {
    Setting setting({.version = TLS1_2_VERSION});
    const auto a = server(shared);
    setting.visit("a.test", a);
    const auto one = setting.connection();
    SSL_set_connect_state(one.get());
    REQUIRE(setting.prepare(one, "a.test"));
    const SslPtr two(SSL_dup(one.get()));
    REQUIRE(SSL_get_session(two.get()) != nullptr);
    SSL_set1_host(two.get(), "x.test");

    CHECK_FALSE(connect(two.get(), a.get()));  // as in a full handshake: it is for others
    CHECK(SSL_session_reused(two.get()) == 0);
    CHECK(connect(one.get(), a.get()));
    CHECK(SSL_session_reused(one.get()) == 1);
  }

  TEST_CASE("a copy of SSL_dup calls the info callback that its connection had, once each time") {
    static int started, of_context;
    const auto of_connection = [](const SSL*, int where, int) {
      started += (where & SSL_CB_HANDSHAKE_START) != 0 ? 1 : 0;
    };
    Setting setting;
    const auto a = server(shared);
    for (const bool own : {true, false}) {
      for (const bool prepared : {true, false}) {
        CAPTURE(own);
        CAPTURE(prepared);
        const auto one = setting.connection();
        SSL_CTX_set_info_callback(SSL_get_SSL_CTX(one.get()), [](const SSL*, int where, int) {
          of_context += (where & SSL_CB_HANDSHAKE_START) != 0 ? 1 : 0;
        });
        if (own) SSL_set_info_callback(one.get(), +of_connection);
        SSL_set_connect_state(one.get());
        REQUIRE(setting.prepare(one, "a.test"));
        const SslPtr two(SSL_dup(one.get()));
        if (prepared) REQUIRE(setting.prepare(two, "a.test"));
        started = of_context = 0;
        CHECK(connect(two.get(), a.get()));
        CHECK(started == (own ? 1 : 0));
        CHECK(of_context == (own ? 0 : 1));  // OpenSSL's rule: the connection's goes first
        CHECK(SSL_session_reused(two.get()) == 0);
      }
    }
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

  TEST_CASE("callbacks that are chained behind one another are each called, and in no circles") {
    const struct {
      const char* what;
      bool first, second, third;  // before attach, after it, and the SSL's own before prepare
      bool fourth = false;        // after prepare
    } cases[] = {
        {"before attach", true, false, false},
        {"after it", false, true, false},
        {"both", true, true, false},
        {"the SSL's own", true, false, true},
        {"all before prepare", true, true, true},
        {"one after it", true, true, false, true},
        {"all", true, true, true, true},
    };
    const auto at = server(shared);
    for (const auto& one : cases) {
      CAPTURE(one.what);
      const auto ctx = client_context();
      Client client({}, web.c_str());
      const auto chain = [&](auto link) {
        link.behind() = SSL_CTX_get_info_callback(ctx.get());
        SSL_CTX_set_info_callback(ctx.get(), link.call);
      };
      if (one.first) chain(Link<0>());
      REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), "") == TKT_OK);
      if (one.second) chain(Link<1>());
      REQUIRE(tkt_client_attach(client.handle.get(), ctx.get(), "") == TKT_OK);
      for (const bool prepared : {true, false}) {
        CAPTURE(prepared);
        if (!prepared && one.fourth) continue;
        const SslPtr ssl(SSL_new(ctx.get()));
        if (one.third) {
          Link<2>::behind() = SSL_CTX_get_info_callback(ctx.get());
          SSL_set_info_callback(ssl.get(), Link<2>::call);
        }
        if (prepared) {
          REQUIRE(tkt_client_prepare(client.handle.get(), ssl.get(), "a.test", 443) == TKT_OK);
        }
        if (one.fourth) {
          Link<3>::behind() = SSL_get_info_callback(ssl.get());
          SSL_set_info_callback(ssl.get(), Link<3>::call);
        }
        Link<0>::told() = Link<1>::told() = Link<2>::told() = Link<3>::told() = 0;
        const auto stored = client.counters().stored;
        REQUIRE(connect(ssl.get(), at.get()));
        CHECK(client.counters().stored == stored + (prepared ? 2 : 0));
        // each of a handshake's one beginning and one end
        CHECK(Link<0>::told() == (one.first ? 2 : 0));
        CHECK(Link<1>::told() == (one.second ? 2 : 0));
        CHECK(Link<2>::told() == (one.third ? 2 : 0));
        CHECK(Link<3>::told() == (one.fourth ? 2 : 0));
        SSL_shutdown(ssl.get());
        SSL_clear(ssl.get());
        if (!prepared) continue;
        REQUIRE(tkt_client_prepare(client.handle.get(), ssl.get(), "a.test", 443) == TKT_OK);
        REQUIRE(connect(ssl.get(), at.get()));
        CHECK(info_of(ssl.get()).resumed == 1);
      }
    }
  }

  TEST_CASE("a session callback that is chained behind ours is called, and in no circles") {
    Setting setting;
    const auto at = server(shared);
    auto* ctx = setting.ctx.get();
    sessions_behind = SSL_CTX_sess_get_new_cb(ctx);
    SSL_CTX_sess_set_new_cb(ctx, chained_session);
    setting.attach("");
    sessions_told = 0;
    CHECK(setting.visit("a.test", at).completed);
    CHECK(sessions_told == 2);
    CHECK(setting.visit("b.test", at).resumed);
  }

  TEST_CASE("client promise: an SSL that is used again goes by its SSL_CTX's partition of now") {
    Setting setting;
    const auto at = server(shared);
    setting.attach("alice");
    const auto ssl = setting.connection();
    setting.visit("a.test", at);
    REQUIRE(setting.prepare(ssl, "c.test"));
    CHECK(info_of(ssl.get()).offered == 1);
    setting.attach("bob");

    REQUIRE(setting.prepare(ssl, "a.test"));

    CHECK(std::string(info_of(ssl.get()).pool) == "manifest:web");
    CHECK(asked_name(ssl) == "a.test");
    CHECK(info_of(ssl.get()).offered == 0);
    Client another;
    tkt_client_attach(another.handle.get(), setting.ctx.get(), "");
    REQUIRE(tkt_client_prepare(another.handle.get(), ssl.get(), "a.test", 443) == TKT_OK);
    REQUIRE(connect(ssl.get(), at.get()));
    CHECK(another.counters().stored == 2);
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
