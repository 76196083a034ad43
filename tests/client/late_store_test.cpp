// Stores that are filled when the server answers, as libcurl 7.87 to 8.3 does it.
#include <doctest/doctest.h>
#include <openssl/x509v3.h>

#include "client/attachment.hpp"
#include "client/setting.hpp"
#include "support/process.hpp"

using namespace world;

namespace {

// A process with libcurl 7.87 to 8.3, whose stores are filled when the server answers.
struct FillsLate {
  explicit FillsLate(const std::string& cache_path = "") {
    ticket::client::ClientOptions options;
    options.clock = real_now;
    options.cache_path = cache_path;
    client = std::make_shared<ticket::client::Client>(options);
    REQUIRE(client->use_manifest(web));
  }
  struct Came {
    bool completed, resumed;
    long verified;
  };
  Came go(const std::string& host, const ContextPtr& at, unsigned long filled_with,
          int mode = SSL_VERIFY_PEER) const {
    static unsigned long flags = 0;
    flags = filled_with;
    const auto ctx = client_context();
    SSL_CTX_set_verify(ctx.get(), mode, nullptr);
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
    return {completed, SSL_session_reused(ssl.get()) == 1, SSL_get_verify_result(ssl.get())};
  }
  std::shared_ptr<ticket::client::Client> client;
};

}  // namespace

TEST_SUITE("client: late stores") {
  TEST_CASE("client promise: a store that is filled when the server answers is compared then") {
    const FillsLate process;
    const auto at = server(shared);
    constexpr auto lax = X509_V_FLAG_TRUSTED_FIRST, strict = X509_V_FLAG_CRL_CHECK;

    CHECK(process.go("a.test", at, lax).completed);
    const auto alike = process.go("b.test", at, lax);
    CHECK(alike.resumed);
    CHECK(alike.verified == X509_V_OK);
    const auto other = process.go("c.test", at, strict);
    CHECK(other.resumed);
    CHECK(other.verified == X509_V_ERR_APPLICATION_VERIFICATION);  // which ends the transfer
    const auto full = process.go("c.test", at, strict);
    CHECK_FALSE(full.resumed);
    CHECK(full.verified == X509_V_ERR_UNABLE_TO_GET_CRL);
    // and once it is known that they differ, nothing is guessed any more
    CHECK(process.go("a.test", at, lax).completed);
    CHECK_FALSE(process.go("a.test", at, lax).resumed);
  }

  TEST_CASE("handles that verify nobody, and so fill nothing, resume beside others that do") {
    const FillsLate process;
    const auto at = server(shared);
    CHECK(process.go("a.test", at, X509_V_FLAG_TRUSTED_FIRST).completed);
    CHECK_FALSE(process.go("b.test", at, 0, SSL_VERIFY_NONE).resumed);
    CHECK(process.go("b.test", at, 0, SSL_VERIFY_NONE).resumed);
  }

  TEST_CASE(
      "client promise: of a cache file of the other kind one resumption is refused, not all") {
    const support::TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared, {.tickets = 4});
    constexpr auto one = X509_V_FLAG_TRUSTED_FIRST, other = X509_V_FLAG_PARTIAL_CHAIN;
    {
      const FillsLate before(path);
      CHECK(before.go("a.test", at, one).completed);
      CHECK(before.client->sessions() == 4);
      before.client->close();
    }
    const FillsLate now(path);
    int refused = 0;
    for (int i = 0; i < 6; ++i) {
      const auto came = now.go(i % 2 == 0 ? "a.test" : "b.test", at, other);
      refused += came.verified == X509_V_ERR_APPLICATION_VERIFICATION ? 1 : 0;
    }
    CHECK(refused == 1);
    // and what its own connections bring is offered to them
    CHECK(now.go("c.test", at, other).resumed);
  }
}
