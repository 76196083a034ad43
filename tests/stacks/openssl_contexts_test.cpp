// Promise 6: a ticket from context A never resumes in context B, for every way a
// server can pick its SSL_CTX.
#include <doctest/doctest.h>

#include <cstring>
#include <list>
#include <thread>

#include "pool.hpp"

using namespace pool;

namespace {

constexpr tkt_openssl_name table[] = {
    {"a.test", "a", nullptr}, {"b.test", "b", nullptr}, {"*.b.test", "b", nullptr}};

const char* choose_by_name(void* host_of_b, SSL*, const char* name, const SSL_CTX** host) {
  if (name == nullptr) return nullptr;
  if (std::strcmp(name, "b.test") != 0) return "a";
  *host = static_cast<const SSL_CTX*>(host_of_b);
  return "b";
}

const char* choose_one_host(void* host, SSL*, const char*, const SSL_CTX** served_by) {
  *served_by = static_cast<const SSL_CTX*>(host);
  return "one";
}

// How a server with two virtual hosts, a.test and b.test, is set up. b.test may
// demand a client certificate.
enum class Way {
  two_ports,  // each its own SSL_CTX, no choice
  client_hello,
  names,             // servername callback; the port's SSL_CTX has a table
  choose,            // the same, by a function
  names_everywhere,  // each SSL_CTX is attached, with the table
  untold,            // servername callback, and nobody told the port's SSL_CTX
  untold_kept,       // the same, by a callback that kept the ClientHello's name
};
struct {
  Way way;
  const char* text;
} const ways[] = {
    {Way::two_ports, "two ports"},
    {Way::client_hello, "client-hello callback"},
    {Way::names, "servername callback, names on the port"},
    {Way::choose, "servername callback, choose on the port"},
    {Way::names_everywhere, "servername callback, names on each"},
    {Way::untold, "servername callback, contexts fixed"},
    {Way::untold_kept, "servername callback that kept the name, contexts fixed"},
};

bool is_told(Way way) { return way != Way::untold && way != Way::untold_kept; }

Switch switch_of(Way way) {
  if (way == Way::client_hello) return Switch::client_hello;
  return way == Way::untold_kept ? Switch::servername_kept : Switch::servername;
}

class TwoHosts {
 public:
  TwoHosts(Way way, const Server& server, bool certificates, tkt_openssl_binding binding) {
    tkt_openssl_options a{.size = 0, .context = "a", .binding = binding};
    tkt_openssl_options b{.size = 0, .context = "b", .binding = binding};
    b_ = server_context("b.test", certificates);
    const bool told = way == Way::names || way == Way::names_everywhere;
    const tkt_openssl_name table[] = {{"a.test", "a", nullptr}, {"b.test", "b", b_.get()}};
    if (told) a.names = b.names = table, a.names_count = b.names_count = std::size(table);
    if (way == Way::choose) a.choose = choose_by_name, a.choose_user = b_.get();

    a_ = attached("a.test", server, a);
    if (way != Way::names && way != Way::choose) attach(b_.get(), server, b);
    if (way == Way::two_ports) return;
    switch_by_name(a_.get(), switch_of(way), {{"a.test", a_.get()}, {"b.test", b_.get()}});
    port_of_b_ = a_.get();
  }

  Outcome connect_a(int version, const SSL_SESSION* session = nullptr) {
    return connect(a_.get(), {.version = version, .name = "a.test", .session = session});
  }
  Outcome connect_b(int version, const SSL_SESSION* session = nullptr, bool certificate = true) {
    SSL_CTX* port = port_of_b_ == nullptr ? b_.get() : port_of_b_;
    return connect(
        port,
        {.version = version, .name = "b.test", .session = session, .certificate = certificate});
  }
  SSL_CTX* port() { return a_.get(); }
  bool are_crossed(const Outcome& at_a, const Outcome& at_b) const {
    return (at_a.resumed && at_a.served_by == a_.get()) ||
           (at_b.resumed && at_b.served_by == b_.get());
  }

 private:
  ContextPtr a_, b_;
  SSL_CTX* port_of_b_ = nullptr;
};

std::string to_text(tkt_openssl_binding binding) {
  static constexpr const char* names[] = {"same name", "same context", "any name"};
  return names[binding];
}

X509* certificate_of(const std::string& name) {
  return SSL_CTX_get0_certificate(server_context(name).get());
}

// Serves every name of a port at `host`, as `how` sets the connection up.
void serve_at(SSL_CTX* port, SSL_CTX* host, void (*how)(SSL*, SSL_CTX*)) {
  struct Served {
    SSL_CTX* host;
    void (*how)(SSL*, SSL_CTX*);
  };
  static std::list<Served> all;  // until the tests end
  X509_STORE_add_cert(SSL_CTX_get_cert_store(port), certificate_of("client"));
  SSL_CTX_set_tlsext_servername_arg(port, &all.emplace_back(Served{host, how}));
  const auto callback = [](SSL* ssl, int*, void* user) {
    const auto& served = *static_cast<const Served*>(user);
    SSL_set_SSL_CTX(ssl, served.host);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(served.host), nullptr);
    served.how(ssl, served.host);
    return SSL_TLSEXT_ERR_OK;
  };
  SSL_CTX_set_tlsext_servername_callback(port, +callback);
}

STACK_OF(X509_NAME) * ca_list(const std::vector<const char*>& names) {
  auto* list = sk_X509_NAME_new_null();
  for (const char* name : names) {
    sk_X509_NAME_push(list, X509_NAME_dup(X509_get_subject_name(certificate_of(name))));
  }
  return list;
}

template <class Body>
void for_every_server(Body body) {
  for (const auto& way : ways) {
    for (const bool certificates : {false, true}) {
      for (const auto binding : {TKT_SAME_NAME, TKT_SAME_CONTEXT, TKT_ANY_NAME}) {
        for (const int version : both_versions) {
          const std::string text = std::string(way.text) + ", " + to_text(binding) + ", " +
                                   version_name(version) +
                                   (certificates ? ", b.test demands a certificate" : "");
          CAPTURE(text);
          Clock clock;
          Server server("one", 1, clock);
          server.publish(hourly(2));
          body(way.way, server, certificates, binding, version);
        }
      }
    }
  }
}

}  // namespace

TEST_SUITE("openssl: contexts") {
  TEST_CASE("promise 6: a ticket of one context resumes in no other") {
    for_every_server(
        [](Way way, Server& server, bool certificates, tkt_openssl_binding binding, int version) {
          TwoHosts hosts(way, server, certificates, binding);
          const auto from_a = hosts.connect_a(version);
          const auto from_b = hosts.connect_b(version);
          REQUIRE(from_a.session);
          REQUIRE(from_b.session);

          const auto at_b = hosts.connect_b(version, from_a.session.get());
          const auto at_a = hosts.connect_a(version, from_b.session.get());

          CHECK_FALSE(hosts.are_crossed(at_a, at_b));
          if (!is_told(way)) return;  // see below: the tripwire may end the handshake
          CHECK_FALSE(at_b.resumed);
          CHECK_FALSE(at_a.resumed);
          CHECK(at_b.completed);
          CHECK(at_a.completed);
          CHECK(at_b.server_alerts == 0);
          CHECK(at_b.info.reason == TKT_CONTEXT);
          CHECK(at_a.info.reason == TKT_CONTEXT);
          CHECK(at_b.info.context == std::string("b"));
        });
  }

  TEST_CASE("promise 6: and each resumes in its own, or the test above says nothing") {
    for_every_server(
        [](Way way, Server& server, bool certificates, tkt_openssl_binding binding, int version) {
          TwoHosts hosts(way, server, certificates, binding);
          const auto from_a = hosts.connect_a(version);
          const auto from_b = hosts.connect_b(version);

          CHECK(hosts.connect_a(version, from_a.session.get()).resumed);
          // sealed under b, looked for under the port's own: a full handshake, each time
          CHECK(hosts.connect_b(version, from_b.session.get()).resumed == is_told(way));
        });
  }

  TEST_CASE("promise 6: two hosts that share a context by mistake are still kept apart by name") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(3));
      const tkt_openssl_options shared{.size = 0, .context = "shared"};
      const auto open_to_all = attached("a.test", server, shared);
      const auto demanding = attached("b.test", server, shared, true);
      switch_by_name(open_to_all.get(), Switch::servername,
                     {{"a.test", open_to_all.get()}, {"b.test", demanding.get()}});
      const auto first =
          connect(open_to_all.get(), {.version = version, .name = "a.test", .certificate = false});
      REQUIRE(first.session);

      const auto crossed = connect(open_to_all.get(), {.version = version,
                                                       .name = "b.test",
                                                       .session = first.session.get(),
                                                       .certificate = false});
      CHECK_FALSE(crossed.resumed);
      CHECK_FALSE(crossed.completed);  // a full handshake lacks the certificate too
    }
  }

  TEST_CASE("promise 6: nor does the certificate that one of them demands get lost") {
    for (const auto binding : {TKT_SAME_CONTEXT, TKT_ANY_NAME}) {
      for (const int version : both_versions) {
        CAPTURE(to_text(binding));
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        const tkt_openssl_options shared{.size = 0, .context = "shared", .binding = binding};
        const auto open_to_all = attached("a.test", server, shared);
        const auto demanding = attached("b.test", server, shared, true);
        switch_by_name(open_to_all.get(), Switch::servername_kept,
                       {{"a.test", open_to_all.get()}, {"b.test", demanding.get()}});
        const auto first = connect(open_to_all.get(),
                                   {.version = version, .name = "a.test", .certificate = false});
        REQUIRE(first.session);

        const auto crossed = connect(open_to_all.get(), {.version = version,
                                                         .name = "b.test",
                                                         .session = first.session.get(),
                                                         .certificate = false});
        CHECK_FALSE(crossed.completed);
        const auto same = connect(open_to_all.get(), {.version = version,
                                                      .name = "a.test",
                                                      .session = first.session.get(),
                                                      .certificate = false});
        CHECK(same.resumed);
      }
    }
  }

  TEST_CASE("promise 6: a session without a client certificate resumes nowhere that demands one") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(2));
      // the operator put both into one context: OpenSSL alone resumes here
      const auto open = attached("a.test", server);
      const auto closed = attached("a.test", server, {}, true);
      const auto session = connect(open.get(), {.version = version}).session;

      const auto with = connect(closed.get(), {.version = version, .session = session.get()});
      const auto without = connect(
          closed.get(), {.version = version, .session = session.get(), .certificate = false});

      CHECK(with.completed);
      CHECK_FALSE(with.resumed);
      CHECK(with.info.reason == TKT_CONTEXT);
      CHECK_FALSE(without.completed);

      const auto again = connect(closed.get(), {.version = version, .session = with.session.get()});
      CHECK(again.resumed);
    }
  }

  TEST_CASE("promise 6: a client certificate is worth what those say who vouched for it") {
    const auto asking = [](const Server& server, std::vector<const char*> cas,
                           tkt_openssl_options options, int mode = SSL_VERIFY_PEER) {
      auto context = server_context("a.test", true);
      SSL_CTX_set_verify(context.get(), mode, nullptr);
      SSL_CTX_set_client_CA_list(context.get(), ca_list(cas));
      attach(context.get(), server, options);
      return context;
    };
    for (const auto binding : {TKT_SAME_NAME, TKT_SAME_CONTEXT, TKT_ANY_NAME}) {
      for (const int version : both_versions) {
        CAPTURE(to_text(binding));
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        // all of one context and name
        const tkt_openssl_options options{.size = 0, .binding = binding};
        const auto nobody = attached("a.test", server, options);
        const auto x = asking(server, {"X", "Z"}, options), y = asking(server, {"Y"}, options);
        const auto same = asking(server, {"Z", "X", "Z"}, options);
        const auto demanding =
            asking(server, {"X", "Z"}, {.size = 0, .binding = binding, .demand_certificate = 1});
        const auto visit = [&](const ContextPtr& to, const SessionPtr& with, const char* name,
                               bool certificate = true) {
          return connect(to.get(), {.version = version,
                                    .name = name,
                                    .session = with.get(),
                                    .certificate = certificate});
        };
        const auto refuses = [&](const ContextPtr& to, const SessionPtr& with, const char* name) {
          const auto outcome = visit(to, with, name);
          CHECK_FALSE(outcome.resumed);
          CHECK(outcome.completed);
          CHECK(outcome.server_alerts == 0);
          return outcome.info.reason;
        };
        const auto by_x = visit(x, {}, "a.test").session;
        const auto by_nobody = visit(nobody, {}, "a.test").session;
        REQUIRE(by_x);

        CHECK(visit(x, by_x, "a.test").resumed);
        CHECK(visit(same, by_x, "a.test").resumed);
        CHECK(visit(demanding, by_x, "a.test").resumed);
        CHECK(visit(nobody, by_nobody, "a.test").resumed);
        CHECK(refuses(y, by_x, "a.test") == TKT_CONTEXT);
        CHECK(refuses(nobody, by_x, "a.test") == TKT_CONTEXT);
        CHECK(refuses(x, by_nobody, "a.test") == TKT_CONTEXT);
        // nginx ends a handshake that brings a certificate to another name
        CHECK(refuses(x, by_x, "b.test") == TKT_CONTEXT);

        // another CA of the same name
        const auto namesake = server_context("a.test", true);
        SSL_CTX_set_verify(namesake.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_client_CA_list(namesake.get(), ca_list({"X", "Z"}));
        X509_STORE_add_cert(SSL_CTX_get_cert_store(namesake.get()), certificate_of("X"));
        attach(namesake.get(), server, options);
        CHECK(refuses(namesake, by_x, "a.test") == TKT_CONTEXT);

        // where a certificate is asked for and none came
        const auto without = visit(x, {}, "a.test", false).session;
        CHECK(visit(x, without, "a.test").resumed);
        CHECK(refuses(demanding, without, "a.test") == TKT_CONTEXT);

        // the operator changes the CAs under a running server
        SSL_CTX_set_client_CA_list(x.get(), ca_list({"Y"}));
        CHECK(refuses(x, by_x, "a.test") == TKT_CONTEXT);
        SSL_CTX_add_client_CA(y.get(), certificate_of("X"));
        CHECK(refuses(y, visit(x, {}, "a.test").session, "a.test") == TKT_CONTEXT);
      }
    }
  }

  TEST_CASE("promise 6: nor under a name so long that nothing else would find room beside it") {
    for (const std::size_t size : {189u, 190u, 191u, 222u, 223u, 254u, 255u}) {
      for (const int version : both_versions) {
        CAPTURE(size);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        const auto asking = [&](const char* ca) {
          auto context = server_context("a.test", true);
          SSL_CTX_set_client_CA_list(context.get(), ca_list({ca}));
          attach(context.get(), server);
          return context;
        };
        const auto x = asking("X"), y = asking("Y");
        const std::string name(size, 'n');
        const auto visit = [&](const ContextPtr& to, const SSL_SESSION* session) {
          return connect(to.get(), {.version = version, .name = name.c_str(), .session = session});
        };
        const auto by_x = visit(x, nullptr).session;
        REQUIRE(by_x);
        CHECK(visit(x, by_x.get()).resumed);
        CHECK_FALSE(visit(y, by_x.get()).resumed);
      }
    }
  }

  TEST_CASE("promise 6: nor by a store of its own for verifying clients") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(2));
      const auto asking = [&](const char* ca) {
        auto context = server_context("a.test", true);
        X509_STORE* store = X509_STORE_new();
        X509_STORE_add_cert(store, certificate_of("client"));
        X509_STORE_add_cert(store, certificate_of(ca));
        SSL_CTX_set0_verify_cert_store(context.get(), store);
        attach(context.get(), server);
        return context;
      };
      const auto x = asking("X"), again = asking("X"), y = asking("Y");
      const auto by_x = connect(x.get(), {.version = version}).session;
      REQUIRE(by_x);
      CHECK(connect(again.get(), {.version = version, .session = by_x.get()}).resumed);
      CHECK_FALSE(connect(y.get(), {.version = version, .session = by_x.get()}).resumed);
    }
  }

  TEST_CASE("promise 6: what the options of a host demand holds, in whatever order one attaches") {
    for (const bool port_first : {true, false}) {
      for (const int version : both_versions) {
        CAPTURE(port_first);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        auto port = server_context("a.test"), host = server_context("b.test", true);
        SSL_CTX_set_verify(host.get(), SSL_VERIFY_PEER, nullptr);  // OpenSSL lets all in
        const tkt_openssl_name names[] = {{"a.test", "a", port.get()}, {"b.test", "b", host.get()}};
        tkt_openssl_options options{.size = 0, .names = names, .names_count = std::size(names)};
        const auto attach_host = [&] {
          options.demand_certificate = 1;
          attach(host.get(), server, options);
          options.demand_certificate = 0;
        };
        if (!port_first) attach_host();
        attach(port.get(), server, options);
        if (port_first) attach_host();
        switch_by_name(port.get(), Switch::servername_kept,
                       {{"a.test", port.get()}, {"b.test", host.get()}});
        const auto visit = [&](const SSL_SESSION* session, bool certificate) {
          return connect(port.get(), {.version = version,
                                      .name = "b.test",
                                      .session = session,
                                      .certificate = certificate});
        };
        const auto without = visit(nullptr, false);
        REQUIRE(without.session);
        const auto again = visit(without.session.get(), false);
        CHECK(again.completed);
        CHECK_FALSE(again.resumed);
        const auto with = visit(nullptr, true);
        CHECK(visit(with.session.get(), true).resumed);
      }
    }
  }

  TEST_CASE("a host's store may grow while it verifies clients, as one of a folder does") {
    for (const bool chosen : {false, true}) {
      for (const int version : both_versions) {
        CAPTURE(chosen);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        auto port = server_context("a.test"), host = server_context("b.test", true);
        const tkt_openssl_name names[] = {{"b.test", "b", host.get()}};
        tkt_openssl_options options{.size = 0, .names = names, .names_count = std::size(names)};
        if (chosen) {
          options = {.size = 0, .choose = choose_by_name, .choose_user = host.get()};
        }
        attach(port.get(), server, options);  // the host is not
        switch_by_name(port.get(), Switch::servername_kept, {{"b.test", host.get()}});
        const auto first = connect(port.get(), {.version = version, .name = "b.test"});
        REQUIRE(first.session);
        const auto grows = [&](const char* ca) {
          X509_STORE_add_cert(SSL_CTX_get_cert_store(host.get()), certificate_of(ca));
        };
        if (!chosen) grows("X");
        const auto again = connect(
            port.get(), {.version = version, .name = "b.test", .session = first.session.get()});
        CHECK(again.completed);
        CHECK(again.resumed);
      }
    }
  }

  TEST_CASE("so may it where each connection tells clients names of its own") {
    for (const bool chosen : {false, true}) {
      for (const int version : both_versions) {
        CAPTURE(chosen);
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        auto port = server_context("a.test"), host = server_context("b.test", true);
        SSL_CTX_set_client_CA_list(host.get(), ca_list({"X"}));
        const tkt_openssl_name names[] = {{"b.test", "b", host.get()}};
        tkt_openssl_options options{.size = 0, .names = names, .names_count = std::size(names)};
        if (chosen) {
          options = {.size = 0, .choose = choose_by_name, .choose_user = host.get()};
          attach(host.get(), server, {.context = "b"});
        }
        attach(port.get(), server, options);
        serve_at(port.get(), host.get(), [](SSL* ssl, SSL_CTX* at) {
          SSL_set_client_CA_list(ssl, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(at)));
        });
        const auto visit = [&](const SSL_SESSION* session) {
          return connect(port.get(), {.version = version, .name = "b.test", .session = session});
        };
        const auto first = visit(nullptr);
        REQUIRE(first.session);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(host.get()), certificate_of("Y"));
        const auto again = visit(first.session.get());
        CHECK(again.completed);
        CHECK(again.resumed);
      }
    }
  }

  TEST_CASE("promise 6: nor is it when a connection of one host alone demands one") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    auto port = server_context("a.test"), host = server_context("b.test", true);
    SSL_CTX_set_verify(host.get(), SSL_VERIFY_NONE, nullptr);
    attach(port.get(), server,
           {.choose = choose_one_host, .choose_user = host.get(), .binding = TKT_SAME_CONTEXT});
    serve_at(port.get(), host.get(), [](SSL* ssl, SSL_CTX*) {
      const bool closed =
          std::strcmp(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "b.test") == 0;
      if (closed) SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    });
    const auto open = connect(port.get(), {.name = "a.test", .certificate = false});
    REQUIRE(open.session);

    const auto closed = connect(
        port.get(), {.name = "b.test", .session = open.session.get(), .certificate = false});

    CHECK_FALSE(closed.completed);
    REQUIRE_FALSE(server.said.empty());
    CHECK(server.said.back().find("handshake ended") != std::string::npos);
  }

  TEST_CASE("promise 6: a CA that a host takes in is seen when its port is attached again") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(2));
      const auto other = attached("b.test", server, {.context = "b"}, true);  // believes one CA
      auto port = server_context("a.test"), host = server_context("b.test", true);
      const tkt_openssl_name names[] = {{"b.test", "b", host.get()}};
      const tkt_openssl_options options{.size = 0, .names = names, .names_count = std::size(names)};
      attach(port.get(), server, options);
      switch_by_name(port.get(), Switch::servername_kept, {{"b.test", host.get()}});
      const auto visit = [&] {
        return connect(port.get(), {.version = version, .name = "b.test"}).session;
      };
      const auto offered_there = [&](const SessionPtr& session) {
        return connect(other.get(),
                       {.version = version, .name = "b.test", .session = session.get()});
      };
      CHECK(offered_there(visit()).resumed);

      X509_STORE_add_cert(SSL_CTX_get_cert_store(host.get()), certificate_of("X"));
      attach(port.get(), server, options);
      CHECK_FALSE(offered_there(visit()).resumed);
    }
  }

  TEST_CASE("two threads may attach ports that name one host") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    auto host = server_context("b.test", true);
    const tkt_openssl_name names[] = {{"b.test", "b", host.get()}};
    const tkt_openssl_options options{.size = 0, .names = names, .names_count = std::size(names)};
    std::vector<ContextPtr> ports;
    for (int i = 0; i < 8; ++i) ports.push_back(server_context("a.test"));
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        for (int at = 0; at < 4; ++at) attach(ports[2 * at + i].get(), server, options);
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(tkt_openssl_attach(ports[0].get(), server.ring.get(), nullptr) == TKT_OK);
  }

  TEST_CASE("a certificate that is asked for after the handshake ends none that resumed") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    for (const int mode : {SSL_VERIFY_PEER, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT}) {
      CAPTURE(mode);
      auto context = server_context("a.test", true);
      SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
      attach(context.get(), server);
      const auto session = connect(context.get(), {}).session;
      const auto asked = connect(context.get(), {.session = session.get(), .asked_after = mode});
      CHECK(asked.resumed);
      CHECK(asked.completed);
      CHECK(asked.showed_certificate);
      CHECK(asked.server_alerts == 0);
    }
  }

  TEST_CASE("promise 6: nor is it when a connection is switched behind our back") {
    for (const int version : both_versions) {
      CAPTURE(version_name(version));
      Clock clock;
      Server server("one", 1, clock);
      server.publish(hourly(2));
      const tkt_openssl_options options{.size = 0, .binding = TKT_ANY_NAME};
      const auto asking = [&](const char* ca) {
        auto context = server_context("a.test", true);
        SSL_CTX_set_client_CA_list(context.get(), ca_list({ca}));
        attach(context.get(), server, options);
        return context;
      };
      const auto port = asking("X"), there = asking("Y");
      const auto session = connect(port.get(), {.version = version}).session;
      switch_by_name(port.get(), Switch::servername_kept, {{"a.test", there.get()}});
      const auto outcome = connect(port.get(), {.version = version, .session = session.get()});
      CHECK_FALSE(outcome.resumed);
      CHECK_FALSE(outcome.completed);
      CHECK(server.said.back().find("asks for other client certificates") != std::string::npos);
    }
  }

  TEST_CASE(
      "promise 6: a servername callback that nobody told of ends the handshake, and says why") {
    for (const auto binding : {TKT_SAME_CONTEXT, TKT_ANY_NAME}) {
      for (const int version : both_versions) {
        CAPTURE(to_text(binding));
        CAPTURE(version_name(version));
        Clock clock;
        Server server("one", 1, clock);
        server.publish(hourly(2));
        TwoHosts hosts(Way::untold_kept, server, false, binding);
        const auto from_a = hosts.connect_a(version);
        const auto resumed_a = hosts.connect_a(version, from_a.session.get());
        server.said.clear();

        const auto at_b = hosts.connect_b(version, resumed_a.session.get());

        CHECK(resumed_a.resumed);
        CHECK_FALSE(at_b.resumed);
        const bool by_name = version == TLS1_2_VERSION && binding == TKT_SAME_CONTEXT;
        CHECK(at_b.completed == by_name);  // RFC 6066 stops that one first
        CHECK(server.said.empty() == by_name);
        if (!by_name) CHECK(server.said.at(0).find("tell the port's SSL_CTX") != std::string::npos);
      }
    }
  }

  TEST_CASE("promise 6: a server that is to send no tickets opens none that it could not watch") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    TwoHosts hosts(Way::untold, server, false, TKT_SAME_CONTEXT);
    const auto from_a = hosts.connect_a(TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(hosts.port(), 0);

    const auto at_b = hosts.connect_b(TLS1_3_VERSION, from_a.session.get());

    CHECK(at_b.completed);
    CHECK_FALSE(at_b.resumed);
  }

  TEST_CASE("promise 6: nor for a host that demands a certificate and that nobody told of") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    const auto port = attached("a.test", server, {.binding = TKT_SAME_CONTEXT});
    const auto host = server_context("b.test", true);
    switch_by_name(port.get(), Switch::servername_kept, {{"b.test", host.get()}});
    const auto open = connect(port.get(), {.name = "a.test", .certificate = false});
    REQUIRE(open.session);
    SSL_CTX_set_num_tickets(port.get(), 0);

    const auto closed = connect(
        port.get(), {.name = "b.test", .session = open.session.get(), .certificate = false});

    CHECK_FALSE(closed.completed);  // a full handshake, which lacks the certificate
    CHECK_FALSE(closed.resumed);
  }

  TEST_CASE("names are found in any case, a wildcard stands for one label") {
    struct {
      const char* name;
      const char* context;
    } const rows[] = {
        {"a.test", "a"},     {"A.TEST", "a"},        {"b.test", "b"},     {"x.b.test", "b"},
        {"X.B.test", "b"},   {"x.y.b.test", "rest"}, {".b.test", "rest"}, {"c.test", "rest"},
        {"a.test.", "rest"}, {nullptr, "rest"},
    };
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    const auto context = attached(
        "a.test", server, {.context = "rest", .names = table, .names_count = std::size(table)});
    for (const auto& row : rows) {
      for (const int version : both_versions) {
        CAPTURE(std::string(row.name == nullptr ? "none" : row.name));
        CAPTURE(version_name(version));
        const auto first = connect(context.get(), {.version = version, .name = row.name});
        const auto second = connect(
            context.get(), {.version = version, .name = row.name, .session = first.session.get()});
        CHECK(first.info.context == std::string(row.context));
        CHECK(second.resumed);
        CHECK(second.info.context == std::string(row.context));
      }
    }
  }

  TEST_CASE("a name that choose turns away gets no tickets, and opens none") {
    Clock clock;
    Server server("one", 1, clock);
    server.publish(hourly(2));
    const auto context = attached("a.test", server, {.choose = choose_by_name});
    const auto first = connect(context.get(), {.name = "a.test"});

    const auto nameless = connect(context.get(), {.name = nullptr, .session = first.session.get()});

    CHECK(nameless.completed);
    CHECK_FALSE(nameless.resumed);
    CHECK(nameless.tickets == 0);
    CHECK(nameless.info.reason == TKT_CONTEXT);
    CHECK(server.counters().not_sealed == 0);  // none was wanted
  }
}
