#include "crypto/certificate.hpp"

#include <doctest/doctest.h>
#include <openssl/err.h>

#include <cstring>

#include "certificates.hpp"
#include "crypto/digest.hpp"

using namespace ticket;
using namespace ticket::crypto;
using test::Wish;

namespace {

// Puts bytes where the text stands that they are as long as: for names that
// OpenSSL's configuration cannot write.
Certificate with_patched_name(const std::string& names, std::string_view text,
                              std::string_view bytes) {
  const auto made = test::with_names(names);
  unsigned char* der = nullptr;
  const int size = i2d_X509(made.get(), &der);
  auto* at = static_cast<unsigned char*>(
      memmem(der, static_cast<std::size_t>(size), text.data(), text.size()));
  std::memcpy(at, bytes.data(), bytes.size());
  const unsigned char* begin = der;
  Certificate patched(d2i_X509(nullptr, &begin, size));
  OPENSSL_free(der);
  return patched;
}

Wish server_wish(const std::string& usage) {
  return {"leaf", {{NID_basic_constraints, "CA:FALSE"}, {NID_ext_key_usage, usage}}};
}

std::vector<Certificate> chain_of(Certificate first) {
  std::vector<Certificate> chain;
  chain.push_back(std::move(first));
  return chain;
}

std::string problem_of(const std::vector<Certificate>& chain, std::string_view ca, bool server,
                       sys_seconds now = test::when) {
  return chain_problem(chain, ca, server, now).value_or("none");
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_SUITE("certificate") {
  TEST_CASE("each role is read from its URI") {
    struct {
      const char* names;
      RoleKind kind;
      const char *pool, *name;
    } const roles[] = {
        {"", RoleKind::none, "", ""},
        {"DNS:web1.example.org", RoleKind::none, "", ""},
        {"URI:https://example.org/", RoleKind::none, "", ""},
        {"URI:tickets:keyd", RoleKind::none, "", ""},
        {"URI:ticket:keyd", RoleKind::keyd, "", ""},
        {"DNS:a,URI:https://b/,URI:ticket:keyd,IP:127.0.0.1", RoleKind::keyd, "", ""},
        {"URI:ticket:relay:paris-1", RoleKind::relay, "", "paris-1"},
        {"URI:ticket:member:web:web1", RoleKind::member, "web", "web1"},
        {"URI:ticket:member:Web_2.x:web1.example.org", RoleKind::member, "Web_2.x",
         "web1.example.org"},
    };

    for (const auto& expected : roles) {
      CAPTURE(expected.names);
      const auto leaf = test::with_names(expected.names);
      const auto role = role_of(leaf.get());
      REQUIRE(role.has_value());
      CHECK(role->kind == expected.kind);
      CHECK(role->pool == expected.pool);
      CHECK(role->name == expected.name);
      if (role->kind != RoleKind::none) {
        CHECK(contains(expected.names, "URI:" + role_uri(*role)));
      }
    }
  }

  TEST_CASE("promise 17: two roles, unknown forms and odd names are malformed") {
    const std::string longest(63, 'a');
    const std::string names[] = {
        "URI:ticket:keyd,URI:ticket:keyd",
        "URI:ticket:member:web:web1,URI:ticket:keyd",
        "URI:ticket:member:web:web1,DNS:a,URI:ticket:member:api:web1",
        "URI:ticket:",
        "URI:ticket:Keyd",
        "URI:Ticket:keyd",
        "URI:TICKET:member:web:web1",
        "URI:ticket:keyd:",
        "URI:ticket:keyd:x",
        "URI:ticket:king:x",
        "URI:ticket:relay",
        "URI:ticket:relay:",
        "URI:ticket:relay:a:b",
        "URI:ticket:member:web",
        "URI:ticket:member:web:",
        "URI:ticket:member::web1",
        "URI:ticket:member:web:web1:",
        "URI:ticket:member:web:web1:x",
        "URI:ticket:member:web:web/1",
        "URI:ticket:member:web:web%31",
        "URI:ticket:member:web:..",
        "URI:ticket:member:.web:web1",
        "URI:ticket:member:web:-rf",
        "URI:ticket:member:web: web1",
        "URI:ticket:member:web:" + longest + "a",
    };

    for (const auto& name : names) {
      CAPTURE(name);
      const auto leaf = test::with_names(name);
      const auto role = role_of(leaf.get());
      CHECK_FALSE(role.has_value());
      if (!role) {
        CHECK(role.error() == Rejection::malformed);
      }
    }
    CHECK(role_of(test::with_names("URI:ticket:member:web:" + longest).get()).has_value());
  }

  TEST_CASE("promise 17: a zero byte inside a role is not its end") {
    using namespace std::string_view_literals;
    const auto cut =
        with_patched_name("URI:ticket:member:web:web1.evil", "web1.evil", "web1\0evil"sv);
    const auto keyd = with_patched_name("URI:ticket:keyd.x", "keyd.x", "keyd\0x"sv);

    CHECK_FALSE(role_of(cut.get()).has_value());
    CHECK_FALSE(role_of(keyd.get()).has_value());
  }

  TEST_CASE("promise 17: a second subjectAltName extension does not hide a role") {
    const auto key = test::p256_key();
    const Wish wish{"leaf",
                    {{NID_subject_alt_name, "DNS:a"}, {NID_subject_alt_name, "URI:ticket:keyd"}}};
    const auto leaf = test::certificate(key.get(), wish, nullptr, key.get());

    CHECK_FALSE(role_of(leaf.get()).has_value());
  }

  TEST_CASE("a chain parses leaf first, up to 8 certificates") {
    const auto leaf = test::pem_of(test::with_names("DNS:leaf").get());
    const auto other = test::pem_of(test::with_names("DNS:other").get());
    std::string eight = leaf;
    for (int i = 0; i < 7; ++i) eight += other;

    const auto chain = parse_chain(eight);
    REQUIRE(chain.has_value());
    CHECK(chain->size() == 8);
    CHECK(alternative_names((*chain)[0].get()) == std::vector<std::string>{"DNS:leaf"});
    CHECK_FALSE(parse_chain(eight + other).has_value());
  }

  TEST_CASE("a broken chain is malformed at every truncation and leaves no OpenSSL error") {
    const auto leaf = test::pem_of(test::with_names("DNS:leaf").get());
    const auto end =
        leaf.find("-----END CERTIFICATE-----") + std::strlen("-----END CERTIFICATE-----");
    ERR_clear_error();

    for (std::size_t size = 0; size < end; ++size) {
      CAPTURE(size);
      CHECK_FALSE(parse_chain(leaf.substr(0, size)).has_value());
    }
    CHECK_FALSE(parse_chain(leaf + leaf.substr(0, end / 2)).has_value());
    CHECK_FALSE(parse_chain("no certificate").has_value());
    CHECK(parse_chain(leaf).has_value());
    CHECK(ERR_peek_error() == 0);
  }

  TEST_CASE("a certificate tells its fingerprint, subject and names") {
    using namespace std::string_view_literals;
    const auto key = test::p256_key();
    const Wish wish{"web1, \"Example\"",
                    {{NID_subject_alt_name,
                      "DNS:web1.example.org,IP:192.0.2.1,IP:2001:db8::1,URI:ticket:member:web:web1,"
                      "email:ops@example.org"}}};
    const auto leaf = test::certificate(key.get(), wish, nullptr, key.get());

    CHECK(subject(leaf.get()) == R"(CN=web1\, \"Example\")");
    CHECK(alternative_names(leaf.get()) ==
          std::vector<std::string>{"DNS:web1.example.org", "IP:192.0.2.1",
                                   "IP:2001:0db8:0000:0000:0000:0000:0000:0001",
                                   "URI:ticket:member:web:web1", "email:ops@example.org"});
    CHECK(fingerprint(leaf.get()).size() == 7 + 64);
    CHECK(fingerprint(leaf.get()) != fingerprint(test::with_names("").get()));
    CHECK(alternative_names(with_patched_name("DNS:a.evil", "a.evil", "a\0evil"sv).get()).empty());
    CHECK(alternative_names(with_patched_name("DNS:a.evil", "a.evil", "a\nevil"sv).get()).empty());
  }

  TEST_CASE("the hash of what was signed is the same under any signature that verifies") {
    const test::Authority authority;
    const auto key = test::p256_key();
    const auto wish = server_wish("clientAuth");
    auto leaf = authority.sign(key.get(), wish);
    auto other = test::with_other_signature(leaf.get());
    const auto id = tbs_hash(leaf.get());
    CHECK(fingerprint(other.get()) != fingerprint(leaf.get()));
    CHECK(tbs_hash(other.get()) == id);
    CHECK(tbs_hash(authority.sign(key.get(), wish).get()) != id);  // with a serial of its own

    unsigned char* der = nullptr;  // as OpenSSL alone has it
    const auto size = static_cast<std::size_t>(i2d_re_X509_tbs(leaf.get(), &der));
    CHECK(id == hex(sha256(std::as_bytes(std::span(der, size)))));
    OPENSSL_free(der);

    const auto ca = test::pem_of(authority.certificate.get());
    CHECK(problem_of(chain_of(std::move(other)), ca, false) == "none");
  }

  TEST_CASE("a chain is accepted for its purpose, in its time, under its CA only") {
    const test::Authority authority, stranger(test::ca_wish("another CA"));
    const auto ca = test::pem_of(authority.certificate.get());
    const auto other_ca = test::pem_of(stranger.certificate.get());
    const auto key = test::p256_key();
    const auto client = chain_of(authority.sign(key.get(), server_wish("clientAuth")));
    const auto server = chain_of(authority.sign(key.get(), server_wish("serverAuth")));
    const auto both = chain_of(authority.sign(key.get(), server_wish("serverAuth,clientAuth")));
    const Wish life;

    CHECK(problem_of(client, ca, false) == "none");
    CHECK(contains(problem_of(client, ca, true), "purpose"));
    CHECK(problem_of(server, ca, true) == "none");
    CHECK(contains(problem_of(server, ca, false), "purpose"));
    CHECK(problem_of(both, ca, true) == "none");
    CHECK(problem_of(both, ca, false) == "none");
    CHECK(problem_of(both, other_ca + ca, false) == "none");
    CHECK(problem_of(both, other_ca, false) != "none");
    CHECK(problem_of(both, "", false) != "none");
    CHECK(problem_of(both, ca.substr(0, ca.size() / 2), false) != "none");
    CHECK(problem_of({}, ca, false) == "no certificate");
    CHECK(problem_of(both, ca, false, life.from) == "none");
    CHECK(contains(problem_of(both, ca, false, life.from - seconds(1)), "not yet valid"));
    CHECK(problem_of(both, ca, false, life.until - seconds(1)) == "none");
    CHECK(contains(problem_of(both, ca, false, life.until + seconds(1)), "expired"));
  }

  TEST_CASE("an intermediate CA vouches when the chain brings it, a leaf never does") {
    const test::Authority root;
    const auto ca = test::pem_of(root.certificate.get());
    const auto key = test::p256_key();
    for (const bool is_ca : {true, false}) {
      CAPTURE(is_ca);
      const auto middle_key = test::p256_key();
      auto middle =
          root.sign(middle_key.get(), is_ca ? test::ca_wish("middle") : server_wish("clientAuth"));
      auto chain = chain_of(
          test::certificate(key.get(), server_wish("clientAuth"), middle.get(), middle_key.get()));
      CHECK(problem_of(chain, ca, false) != "none");
      chain.push_back(std::move(middle));
      CHECK((problem_of(chain, ca, false) == "none") == is_ca);
    }
  }

  TEST_CASE("a trusted certificate that is no CA vouches for nobody, not even for itself") {
    const auto key = test::p256_key();
    const auto own =
        chain_of(test::certificate(key.get(), server_wish("clientAuth"), nullptr, key.get()));
    const test::Authority authority({"any use", {{NID_basic_constraints, "critical,CA:TRUE"}}});
    const auto ca = test::pem_of(authority.certificate.get());

    CHECK(problem_of(own, test::pem_of(own[0].get()), false) ==
          "the trusted certificate is not a CA's (CN=leaf)");
    CHECK(problem_of(*parse_chain(ca), ca, false) == "a CA's own certificate (CN=any use)");
  }

  TEST_CASE("weak keys and altered certificates are refused") {
    const test::Authority authority;
    const auto ca = test::pem_of(authority.certificate.get());
    const auto weak = test::rsa_key(1024), good = test::rsa_key(2048);

    CHECK(problem_of(chain_of(authority.sign(weak.get(), server_wish("clientAuth"))), ca, false) !=
          "none");
    CHECK(problem_of(chain_of(authority.sign(good.get(), server_wish("clientAuth"))), ca, false) ==
          "none");

    const auto leaf = authority.sign(good.get(), server_wish("clientAuth"));
    unsigned char* der = nullptr;
    const int size = i2d_X509(leaf.get(), &der);
    der[size - 1] ^= 1;  // in the signature
    const unsigned char* begin = der;
    auto altered = chain_of(Certificate(d2i_X509(nullptr, &begin, size)));
    OPENSSL_free(der);
    CHECK(problem_of(altered, ca, false) != "none");
  }

  TEST_CASE("signatures by each kind of key verify, and not when a bit is flipped") {
    struct {
      const char* kind;
      PrivateKey key;
    } const keys[] = {
        {"P-256", test::p256_key()},
        {"RSA", test::rsa_key(2048)},
        {"Ed25519", test::ed25519_key()},
    };
    const auto message = as_bytes("libticket enrol 1");

    for (const auto& signer : keys) {
      CAPTURE(std::string(signer.kind));
      const auto& key = signer.key;
      const auto leaf = test::certificate(key.get(), {}, nullptr, key.get());
      const auto stranger = test::with_names("");
      const auto signature = sign_with(key.get(), message);

      CHECK(verify_with(leaf.get(), message, signature));
      CHECK_FALSE(verify_with(leaf.get(), as_bytes("libticket enrol 2"), signature));
      CHECK_FALSE(verify_with(stranger.get(), message, signature));
      CHECK_FALSE(verify_with(leaf.get(), message, {}));
      for (std::size_t i = 0; i < signature.size(); ++i) {
        auto flipped = signature;
        flipped[i] ^= std::byte{1};
        CAPTURE(i);
        CHECK_FALSE(verify_with(leaf.get(), message, flipped));
      }
    }
  }

  TEST_CASE("an RSA signature may be PKCS#1 too; other kinds of key sign nothing") {
    const auto rsa = test::rsa_key(2048);
    const auto leaf = test::certificate(rsa.get(), {}, nullptr, rsa.get());
    const auto message = as_bytes("message");
    auto* context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, rsa.get());  // PKCS#1 by default
    Bytes signature(256);
    std::size_t size = signature.size();
    EVP_DigestSign(context, raw(std::span(signature)), &size, raw(message), message.size());
    EVP_MD_CTX_free(context);

    CHECK(verify_with(leaf.get(), message, signature));
    const PrivateKey other(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448"));
    CHECK_THROWS_AS(sign_with(other.get(), message), std::runtime_error);
  }

  TEST_CASE("a private key parses without asking anybody for a passphrase") {
    const auto key = test::p256_key();

    CHECK(EVP_PKEY_eq(parse_private_key(test::pem_of(key.get())).get(), key.get()) == 1);
    CHECK(parse_private_key(test::pem_of(key.get(), "secret")) == nullptr);
    CHECK(parse_private_key("") == nullptr);
    CHECK(parse_private_key(test::pem_of(test::with_names("").get())) == nullptr);
  }
}
