// A client of one pool, and its SSL_CTX, as tests of applications want them.
#pragma once

#include <doctest/doctest.h>

#include "client/world.hpp"

namespace world {

inline const auto web = manifest_of({pool_of({"a.test", "b.test", "c.test"})});
inline const Leaf shared{"DNS:a.test,DNS:b.test,DNS:c.test"};

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

}  // namespace world
