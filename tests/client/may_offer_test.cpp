// may_offer, fact by fact: a session of a.test that may go to b.test, and what speaks
// against it.
#include "client/may_offer.hpp"

#include <doctest/doctest.h>

#include "crypto/certificates.hpp"

using namespace ticket::client;
using namespace std::chrono_literals;
using ticket::seconds;
using ticket::sys_seconds;

namespace {

constexpr sys_seconds now = test::when;

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

const SSL_CIPHER* cipher_of(std::uint16_t number) {
  static const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  SSL* ssl = SSL_new(context.get());
  const unsigned char id[] = {static_cast<unsigned char>(number >> 8),
                              static_cast<unsigned char>(number)};
  const auto* cipher = SSL_CIPHER_find(ssl, id);
  SSL_free(ssl);
  return cipher;
}

constexpr std::uint16_t aes128 = 0x1301, aes256 = 0x1302, ecdhe_rsa_aes128 = 0xc02f;

// What a case changes, from what is all right.
struct Facts {
  int version = TLS1_3_VERSION;
  std::uint16_t cipher = aes256;
  bool ticket = true;
  const char* server = "a.test:443";
  const char* lineage = "a.test";
  const char* names = "DNS:a.test,DNS:b.test,DNS:*.sub.test,IP:192.0.2.1";
  seconds valid_from{-1h}, valid_until{1h};
  bool chain_verified = true;
  VerifySettings then{true, -1, -1, 0, 0}, at_present{true, -1, -1, 0, 0};
  seconds born{-1h}, received{-1h}, expires{1h};
  const char* alpn = "";
  unsigned char identity_then = 0, identity_now = 0;
  const char* target = "b.test:443";
  bool checks_host = false;
  const char* checked = "a.test";  // then
  int lowest = TLS1_2_VERSION, highest = TLS1_3_VERSION;
  const char* suites = nullptr;  // of TLS 1.3; nullptr = all ciphers
  const char* offered_alpn = nullptr;
  bool any_name = false;
};

Session session_of(const Facts& facts) {
  static const auto key = test::p256_key();
  test::Wish wish;
  wish.extensions.push_back({NID_subject_alt_name, facts.names});
  wish.from = now + facts.valid_from;
  wish.until = now + facts.valid_until;
  Lineage lineage;
  lineage.name = facts.lineage;
  lineage.born = now + facts.born;
  lineage.leaf = test::certificate(key.get(), wish, nullptr, key.get());
  lineage.chain_verified = facts.chain_verified;
  lineage.verify = facts.then;
  lineage.identity.fill(std::byte(facts.identity_then));
  return {nullptr,
          make_lineage(std::move(lineage)),
          *Server::parse(facts.server),
          facts.alpn,
          now + facts.received,
          now + facts.expires,
          facts.version,
          cipher_of(facts.cipher),
          facts.ticket};
}

Verdict verdict(const Facts& facts) {
  const auto server = *Server::parse(facts.target);
  Target target{server};
  target.verify = facts.at_present;
  if (facts.checks_host) target.checked_hosts = {facts.checked};
  target.identity.fill(std::byte(facts.identity_now));
  target.lowest_version = facts.lowest;
  target.highest_version = facts.highest;
  std::unique_ptr<SSL_CTX, FreeContext> context;
  if (facts.suites != nullptr) {
    context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_ciphersuites(context.get(), facts.suites);
    target.ciphers = SSL_CTX_get_ciphers(context.get());
  }
  if (facts.offered_alpn != nullptr) target.alpn = facts.offered_alpn;
  return may_offer(session_of(facts), target, facts.any_name, now);
}

}  // namespace

TEST_SUITE("client: may offer") {
  TEST_CASE("each fact that speaks against it") {
    constexpr VerifySettings none{false, -1, -1, 0, 0}, crl{true, -1, -1, 4, 0},
        own{true, -1, -1, 0, 7}, deep{true, 5, -1, 0, 0}, strong{true, -1, 3, 0, 0},
        level{true, -1, -1, 0, 0, 3}, flags{true, -1, -1, 0, 0, 1, 2},
        transparent{true, -1, -1, 0, 0, 1, 0, true},
        of_store{true, -1, -1, 0, 0, 1, 0, false, {-1, 0, 0, 7}},
        suite_b{true, -1, -1, 0, 0, 1, 0, false, {}, 0x20000},
        at_time{true, -1, -1, 0, 0, 1, 0, false, {}, 0, 1},
        store_time{true, -1, -1, 0, 0, 1, 0, false, {-1, 0, 0, 0, 1}};
    const struct {
      const char* what;
      Verdict verdict;
      Facts facts;
    } cases[] = {
        {"another name", Verdict::yes, {}},
        {"its own name", Verdict::yes, {.target = "a.test:443"}},
        {"an address that the certificate has", Verdict::yes, {.target = "192.0.2.1:443"}},
        {"an address that it has not", Verdict::not_covered, {.target = "192.0.2.2:443"}},
        {"a wildcard", Verdict::yes, {.target = "x.sub.test:443"}},
        {"a wildcard is one label", Verdict::not_covered, {.target = "x.y.sub.test:443"}},
        {"a name that the certificate has not", Verdict::not_covered, {.target = "c.test:443"}},
        {"over", Verdict::expired, {.expires = 0s}},
        {"its last second", Verdict::yes, {.expires = 1s}},
        {"from the future", Verdict::expired, {.received = 301s}},
        {"clocks differ a little", Verdict::yes, {.received = 300s}},
        {"no TLS 1.3 now", Verdict::version, {.highest = TLS1_2_VERSION}},
        {"TLS 1.3 alone, an old session",
         Verdict::version,
         {.version = TLS1_2_VERSION,
          .cipher = ecdhe_rsa_aes128,
          .target = "a.test:443",
          .lowest = TLS1_3_VERSION}},
        {"TLS 1.2, its own name",
         Verdict::yes,
         {.version = TLS1_2_VERSION, .cipher = ecdhe_rsa_aes128, .target = "a.test:443"}},
        {"TLS 1.2, another name",
         Verdict::tls12,
         {.version = TLS1_2_VERSION, .cipher = ecdhe_rsa_aes128}},
        {"TLS 1.2, another name, any name",
         Verdict::yes,
         {.version = TLS1_2_VERSION, .cipher = ecdhe_rsa_aes128, .any_name = true}},
        {"any name needs a certificate",
         Verdict::not_covered,
         {.version = TLS1_2_VERSION,
          .cipher = ecdhe_rsa_aes128,
          .target = "c.test:443",
          .any_name = true}},
        {"a session id of another server",
         Verdict::moved,
         {.version = TLS1_2_VERSION,
          .cipher = ecdhe_rsa_aes128,
          .ticket = false,
          .any_name = true}},
        {"a session id of its own server",
         Verdict::yes,
         {.version = TLS1_2_VERSION,
          .cipher = ecdhe_rsa_aes128,
          .ticket = false,
          .target = "a.test:443"}},
        {"a cipher with its hash", Verdict::yes, {.suites = "TLS_AES_256_GCM_SHA384"}},
        {"no cipher with its hash", Verdict::cipher, {.suites = "TLS_AES_128_GCM_SHA256"}},
        {"another cipher, the same hash",
         Verdict::yes,
         {.cipher = aes128, .suites = "TLS_CHACHA20_POLY1305_SHA256"}},
        {"its protocol is offered",
         Verdict::yes,
         {.alpn = "h2", .offered_alpn = "\x08http/1.1\x02h2"}},
        {"its protocol is not", Verdict::alpn, {.alpn = "h2", .offered_alpn = "\x08http/1.1"}},
        {"nor is any", Verdict::alpn, {.alpn = "h2", .offered_alpn = ""}},
        {"it had none", Verdict::yes, {.offered_alpn = "\x02h2"}},
        {"protocols that nobody told", Verdict::yes, {.alpn = "h2"}},
        {"not verified then", Verdict::verify, {.then = none}},
        {"not verified now", Verdict::verify, {.at_present = none}},
        {"verified at no time, another name",
         Verdict::unverified,
         {.chain_verified = false, .then = none, .at_present = none}},
        {"verified at no time, its own name",
         Verdict::yes,
         {.chain_verified = false, .then = none, .at_present = none, .target = "a.test:443"}},
        {"a chain that was verified, and none is now",
         Verdict::unverified,
         {.then = none, .at_present = none}},
        {"chain not verified", Verdict::unverified, {.chain_verified = false}},
        {"revocation is looked at now", Verdict::verify, {.at_present = crl}},
        {"revocation was looked at then", Verdict::verify, {.then = crl}},
        {"a callback of the application's now", Verdict::verify, {.at_present = own}},
        {"a callback of the application's, then and now",
         Verdict::callback,
         {.then = own, .at_present = own}},
        {"the same, its own name",
         Verdict::yes,
         {.then = own, .at_present = own, .target = "a.test:443"}},
        {"a callback of the store's, then and now",
         Verdict::callback,
         {.then = of_store, .at_present = of_store}},
        {"another depth", Verdict::verify, {.at_present = deep}},
        {"another level", Verdict::verify, {.at_present = strong}},
        {"another security level", Verdict::verify, {.at_present = level}},
        {"other host flags", Verdict::verify, {.at_present = flags}},
        {"certificate transparency", Verdict::verify, {.at_present = transparent}},
        {"Suite B", Verdict::verify, {.at_present = suite_b}},
        {"Suite B then", Verdict::verify, {.then = suite_b}},
        {"another time to check at", Verdict::verify, {.at_present = at_time}},
        {"another time of the store's", Verdict::verify, {.at_present = store_time}},
        {"not verified now, its own name",
         Verdict::verify,
         {.at_present = none, .target = "a.test:443"}},
        {"not verified then, its own name",
         Verdict::verify,
         {.then = none, .target = "a.test:443"}},
        {"certificate over", Verdict::certificate_expired, {.valid_until = -1s}},
        {"certificate to come", Verdict::certificate_expired, {.valid_from = 1s}},
        {"certificate over, its own name",
         Verdict::certificate_expired,
         {.valid_until = -1s, .target = "a.test:443"}},
        {"certificate over, its own name, never verified",
         Verdict::yes,
         {.valid_until = -1s,
          .chain_verified = false,
          .then = none,
          .at_present = none,
          .target = "a.test:443"}},
        {"a full handshake in the future", Verdict::expired, {.born = 301s}},
        {"another client certificate", Verdict::identity, {.identity_then = 1, .identity_now = 2}},
        {"no client certificate now", Verdict::identity, {.identity_then = 1}},
        {"the same client certificate", Verdict::yes, {.identity_then = 1, .identity_now = 1}},
        {"its own name, which its certificate lacks",
         Verdict::yes,
         {.lineage = "x.test", .target = "x.test:443"}},
        {"the same, and OpenSSL is to check the name",
         Verdict::not_covered,
         {.lineage = "x.test", .target = "x.test:443", .checks_host = true, .checked = "x.test"}},
        {"OpenSSL is to check a name that it has",
         Verdict::yes,
         {.target = "a.test:443", .checks_host = true, .checked = "b.test"}},
        {"OpenSSL is to check a name that it has not",
         Verdict::not_covered,
         {.target = "a.test:443", .checks_host = true, .checked = "y.test"}},
        {"a ticket of b.test, of a chain that began at a.test",
         Verdict::yes,
         {.server = "b.test:443"}},
        {"the same, for a name that it lacks",
         Verdict::not_covered,
         {.server = "c.test:443", .target = "c.test:443"}},
    };
    for (const auto& one : cases) {
      CAPTURE(one.what);
      CHECK(std::string(to_text(verdict(one.facts))) == to_text(one.verdict));
    }
  }

  TEST_CASE("which names a certificate covers is what OpenSSL says") {
    // a NameSet's first names, and the others
    std::string many = "DNS:a.test";
    for (int i = 2; i <= 40; ++i) many += ",DNS:n" + std::to_string(i) + ".test";
    const char* certificates[] = {"DNS:a.test,DNS:b.test",
                                  "DNS:A.Test",
                                  "DNS:*.sub.test",
                                  "DNS:a.test,DNS:*.sub.test",
                                  "IP:192.0.2.1",
                                  "email:x@a.test",
                                  "DNS:a.test,IP:192.0.2.1",
                                  "DNS:xn--a.test",
                                  "DNS:*.a.test,DNS:f*.sub.test",
                                  "DNS:a_b.test",
                                  "DNS:.sub.test",
                                  "DNS:leaf",
                                  many.c_str()};
    const char* hosts[] = {"n2.test",  "n16.test",     "n17.test", "n40.test",
                           "n41.test", "a.test",       "b.test",   "x.sub.test",
                           "sub.test", "x.y.sub.test", "leaf",     "foo.sub.test",
                           "a_b.test", "xn--a.test",   "x.a.test", "c.test"};
    for (const auto* names : certificates) {
      Lineage lineage;
      lineage.leaf = test::with_names(names);  // its CN is "leaf"
      const auto made = make_lineage(std::move(lineage));
      for (const std::string host : hosts) {
        CAPTURE(names);
        CAPTURE(host);
        CHECK(made->covers(*Server::from(host, 443)) ==
              (X509_check_host(made->leaf.get(), host.data(), host.size(), 0, nullptr) == 1));
      }
      CHECK(made->covers_address("192.0.2.1") ==
            (X509_check_ip_asc(made->leaf.get(), "192.0.2.1", 0) == 1));
    }
  }

  TEST_CASE("early data goes under the very name of ticket and lineage") {
    const struct {
      const char *server, *lineage, *target;
      bool may;
    } cases[] = {
        {"a.test:443", "a.test", "a.test:443", true},
        {"a.test:443", "a.test", "a.test:8443", true},
        {"a.test:443", "a.test", "b.test:443", false},
        {"b.test:443", "a.test", "a.test:443", false},
        {"b.test:443", "a.test", "b.test:443", false},
    };
    for (const auto& one : cases) {
      const auto session = session_of({.server = one.server, .lineage = one.lineage});
      CHECK(may_send_early(session, *Server::parse(one.target)) == one.may);
    }
  }
}
