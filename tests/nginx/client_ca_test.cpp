// Promise 6 where nginx asks for client certificates: what one host was shown is worth
// nothing at another that believes other CAs.
#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include "nginx/nginx.hpp"
#include "support/tls_visit.hpp"

using namespace nginx;

namespace {

constexpr int both_versions[] = {12, 13};

// Two CAs, and a client that the first one vouches for.
struct Bench {
  Bench() { ring.publish({{1, -1h, 1h, 3h}}); }

  std::string server(int port, const std::string& ca, const std::string& more,
                     const std::string& name = "a.test") const {
    return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + name +
           "; " + mine.of(name) + " ssl_verify_client on; ssl_client_certificate " + ca + "; " +
           more + " location / { return 200 \"<<$ticket_status>>\"; } }\n";
  }
  std::string http(const std::string& servers) const {
    return http_block(folder / "nginx", "ticket_ring " + ring.path().string() + ";\n" + servers);
  }
  Shake visit(int port, Client client) const {
    client.certificate = mine.client();
    return connect(port, client);
  }

  const support::TempFolder folder;
  const Certificates mine{folder / "mine"}, others{folder / "others"};
  RingFile ring{folder / "web.ring"};
  const std::string kept = folder / "session";
  const int port = support::unused_port(), other = support::unused_port();
};

template <auto f>
struct By {
  void operator()(auto* owned) const { f(owned); }
};
using Context = std::unique_ptr<SSL_CTX, By<SSL_CTX_free>>;
using Connection = std::unique_ptr<SSL, By<SSL_free>>;

Context with_certificate(const SSL_METHOD* method, const std::string& file) {
  Context context(SSL_CTX_new(method));
  SSL_CTX_use_certificate_file(context.get(), file.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_use_PrivateKey_file(context.get(), file.c_str(), SSL_FILETYPE_PEM);
  return context;
}

// A session at a server that has the pool's keys, asks for certificates and attributes
// nothing: HAProxy is one, whose session id context it has.
support::Session unattributed(const Certificates& certificates, int version,
                              const std::string& name) {
  const auto server = with_certificate(TLS_server_method(), certificates.client());
  const auto client = with_certificate(TLS_client_method(), certificates.client());
  SSL_CTX_load_verify_file(server.get(), certificates.client_ca().c_str());
  SSL_CTX_set_verify(server.get(), SSL_VERIFY_PEER, nullptr);
  auto key = ticket_key_of(1, "default");
  SSL_CTX_set_tlsext_ticket_keys(server.get(), key.data(), static_cast<long>(key.size()));
  SSL_CTX_set_session_id_context(server.get(), reinterpret_cast<const unsigned char*>("haproxy"),
                                 7);
  // by which OpenSSL writes the name into sessions
  const auto any_name = [](SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; };
  SSL_CTX_set_tlsext_servername_callback(server.get(), +any_name);
  SSL_CTX_set_max_proto_version(server.get(), version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);

  const Connection here(SSL_new(client.get())), there(SSL_new(server.get()));
  BIO *near = nullptr, *far = nullptr;
  BIO_new_bio_pair(&near, 0, &far, 0);
  SSL_set_bio(here.get(), near, near);
  SSL_set_bio(there.get(), far, far);
  SSL_set_tlsext_host_name(here.get(), name.c_str());
  SSL_set_connect_state(here.get());
  SSL_set_accept_state(there.get());
  char none[1];
  for (int i = 0; i < 10; ++i) {
    SSL_read(here.get(), none, 1);
    SSL_read(there.get(), none, 1);
  }
  REQUIRE(SSL_is_init_finished(here.get()));
  SSL_set_shutdown(here.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // or it is spoilt
  return {SSL_get1_session(here.get()), SSL_SESSION_free};
}

// What is no session by ticket.
const std::vector<std::string> no_ticket{"-no_ticket"};

}  // namespace

TEST_SUITE("nginx: client CAs") {
  TEST_CASE("promise 6: a ticket brings no certificate to a host that asks by another CA") {
    const Bench bench;
    const Nginx nginx(bench.folder / "nginx",
                      bench.http(bench.server(bench.port, bench.mine.client_ca(), "") +
                                 bench.server(bench.other, bench.others.client_ca(), "")));
    for (const int version : both_versions) {
      CAPTURE(version);
      REQUIRE(bench.visit(bench.port, {.version = version, .keep = bench.kept}).ok);
      CHECK(bench.visit(bench.port, {.version = version, .offer = bench.kept}).reused);

      bench.visit(bench.port, {.version = version, .keep = bench.kept});
      const auto there = bench.visit(bench.other, {.version = version, .offer = bench.kept});
      CHECK_FALSE(there.reused);
      CHECK_FALSE(there.ok);  // 400: its CA does not vouch for the client
    }
  }

  TEST_CASE("promise 6: nor under a name that is as long as names may be") {
    const Bench bench;
    const Nginx nginx(bench.folder / "nginx",
                      bench.http(bench.server(bench.port, bench.mine.client_ca(), "") +
                                 bench.server(bench.other, bench.others.client_ca(), "")));
    for (const std::size_t size : {191, 254, 255}) {
      for (const int version : both_versions) {
        CAPTURE(size);
        CAPTURE(version);
        const std::string name(size, 'a');
        const Client keeps{.name = name, .version = version, .keep = bench.kept};
        const Client offers{.name = name, .version = version, .offer = bench.kept};
        REQUIRE(bench.visit(bench.port, keeps).ok);
        CHECK(bench.visit(bench.port, offers).reused);
        REQUIRE(bench.visit(bench.port, keeps).ok);
        CHECK_FALSE(bench.visit(bench.other, offers).reused);
      }
    }
  }

  TEST_CASE("promise 6: nor to a stream server, and none that it kept from before a change of CA") {
    const Bench bench;
    const int stream = support::unused_port();
    const auto text = [&](const std::string& ca) {
      return "stream { ticket_ring " + bench.ring.path().string() +
             "; server { listen 127.0.0.1:" + std::to_string(stream) +
             " ssl; ssl_protocols TLSv1.2 TLSv1.3; " + bench.mine.of("a.test") +
             " ssl_verify_client on; ssl_client_certificate " + bench.others.client_ca() +
             "; return \"HTTP/1.1 200 OK\\r\\n\\r\\n<<$ssl_client_verify>>\"; } }\n" +
             bench.http(bench.server(bench.port, ca, ""));
    };
    Nginx nginx(bench.folder / "nginx", text(bench.mine.client_ca()));
    for (const int version : both_versions) {
      CAPTURE(version);
      // nameless, as a stream server's client may be
      const Client keeps{.name = "", .version = version, .keep = bench.kept};
      const Client offers{.name = "", .version = version, .offer = bench.kept};
      REQUIRE(bench.visit(bench.port, keeps).ok);
      CHECK(bench.visit(bench.port, offers).reused);
      REQUIRE(bench.visit(bench.port, keeps).ok);
      const auto there = bench.visit(stream, offers);
      CHECK_FALSE(there.reused);
      CHECK(there.body != "SUCCESS");
    }

    const std::string old[] = {bench.folder / "old12", bench.folder / "old13"};
    for (const int version : both_versions) {
      REQUIRE(bench.visit(bench.port, {.version = version, .keep = old[version - 12]}).ok);
    }
    const auto file = bench.folder / "nginx" / "nginx.conf";
    auto changed = support::read_text(file);
    for (auto at = changed.find(bench.mine.client_ca()); at != std::string::npos;
         at = changed.find(bench.mine.client_ca())) {
      changed.replace(at, bench.mine.client_ca().size(), bench.others.client_ca());
    }
    support::write_text(file, changed);
    nginx.reload();
    for (const int version : both_versions) {
      CAPTURE(version);
      const auto after = bench.visit(bench.port, {.version = version, .offer = old[version - 12]});
      CHECK_FALSE(after.reused);
      CHECK_FALSE(after.ok);
    }
  }

  TEST_CASE("promise 6: nginx's own session cache resumes nothing past contexts and CAs") {
    for (const std::string tickets : {"on", "off"}) {
      CAPTURE(tickets);
      const Bench bench;
      const std::string cached =
          "ssl_session_cache shared:S:1m; ssl_session_tickets " + tickets + ";";
      const Nginx nginx(
          bench.folder / "nginx",
          bench.http(
              bench.server(bench.port, bench.mine.client_ca(), cached + "ticket_context a;") +
              bench.server(bench.other, bench.others.client_ca(), cached + "ticket_context b;")));
      for (const int version : both_versions) {
        if (version == 13 && tickets == "on") continue;  // its sessions are tickets
        CAPTURE(version);
        const auto more = version == 12 ? no_ticket : std::vector<std::string>{};
        REQUIRE(bench.visit(bench.port, {.version = version, .keep = bench.kept, .more = more}).ok);
        for (const int port : {bench.port, bench.other}) {
          CAPTURE(port);
          const auto again =
              bench.visit(port, {.version = version, .offer = bench.kept, .more = more});
          CHECK_FALSE(again.reused);
          CHECK(again.ok == (port == bench.port));
        }
      }
    }
  }

  TEST_CASE(
      "promise 6: under another name that asks for certificates a handshake is full, not over") {
    const Bench bench;  // nginx ends one that resumes there
    const Nginx nginx(bench.folder / "nginx",
                      bench.http("ticket_binding context;\n" +
                                 bench.server(bench.port, bench.mine.client_ca(), "") +
                                 bench.server(bench.port, bench.mine.client_ca(), "", "b.test")));
    for (const int version : both_versions) {
      CAPTURE(version);
      REQUIRE(bench.visit(bench.port, {.version = version, .keep = bench.kept}).ok);
      const auto there =
          bench.visit(bench.port, {.name = "b.test", .version = version, .offer = bench.kept});
      CHECK(there.ok);
      CHECK_FALSE(there.reused);
      CHECK(there.body == "context");

      REQUIRE(
          bench.visit(bench.port, {.name = "B.test", .version = version, .keep = bench.kept}).ok);
      const auto other_letters =
          bench.visit(bench.port, {.name = "b.test", .version = version, .offer = bench.kept});
      CHECK(other_letters.ok);
      CHECK(other_letters.reused == (version == 12));
    }
  }

  TEST_CASE("promise 6: so it is with a ticket that nobody attributed") {
    const Bench bench;
    const Nginx nginx(bench.folder / "nginx",
                      bench.http("ticket_binding context;\nticket_session_id_context haproxy;\n" +
                                 bench.server(bench.port, bench.mine.client_ca(), "") +
                                 bench.server(bench.port, bench.mine.client_ca(), "", "b.test")));
    for (const int version : both_versions) {
      CAPTURE(version);
      const auto session = unattributed(bench.mine, version, "a.test");
      const auto offered = [&](const std::string& name) {
        return support::visit({.port = static_cast<std::uint16_t>(bench.port),
                               .name = name,
                               .version = version == 12 ? support::Tls::v1_2 : support::Tls::v1_3,
                               .offer = session,
                               .certificate = bench.mine.client(),
                               .key = bench.mine.client()});
      };
      const auto same = offered("a.test");
      CHECK_MESSAGE(same.ok, same.answer);
      CHECK_MESSAGE(same.reused, same.answer);
      const auto other = offered("b.test");
      CHECK(other.ok);
      CHECK_FALSE(other.reused);
      const auto other_letters = offered("A.test");
      CHECK(other_letters.ok);
      CHECK(other_letters.reused == (version == 12));
    }
  }

  TEST_CASE("promise 6: a session that came without a certificate is none where it is demanded") {
    const Bench bench;
    const auto both = bench.server(bench.port, bench.mine.client_ca(), "") +
                      bench.server(bench.other, bench.mine.client_ca(), "");
    auto text = bench.http(both);
    text.replace(text.find("ssl_verify_client on"), 20, "ssl_verify_client optional");
    const Nginx nginx(bench.folder / "nginx", text);
    for (const int version : both_versions) {
      CAPTURE(version);
      REQUIRE(connect(bench.port, {.version = version, .keep = bench.kept}).ok);
      CHECK(connect(bench.port, {.version = version, .offer = bench.kept}).reused);
      connect(bench.port, {.version = version, .keep = bench.kept});
      const auto there = bench.visit(bench.other, {.version = version, .offer = bench.kept});
      CHECK(there.ok);  // asked anew, it shows one
      CHECK_FALSE(there.reused);
      CHECK(there.body == "context");
    }
  }
}
