#include "certificate_authority.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace ticketctl;
using namespace ticket::crypto;
using namespace std::chrono_literals;
using ticket::sys_seconds;

namespace {

constexpr sys_seconds now{std::chrono::seconds(1'800'000'000)};

std::optional<std::string> problem(const Identity& authority, X509* leaf, bool server,
                                   sys_seconds when) {
  const auto chain = parse_chain(certificate_pem(leaf));
  return chain_problem(*chain, certificate_pem(authority.certificate.get()), server, when);
}

std::string serial_of(X509* certificate) {
  const auto* serial = X509_get0_serialNumber(certificate);
  return ticket::hex(
      {reinterpret_cast<const std::byte*>(serial->data), static_cast<std::size_t>(serial->length)});
}

}  // namespace

TEST_SUITE("certificate authority") {
  TEST_CASE("promise 17: a leaf has its role and its one use, for its time") {
    const auto authority = make_authority("web", now);
    struct {
      Role role;
      Usage usage;
      const char* uri;
    } const leaves[] = {
        {{RoleKind::keyd, "", ""}, Usage::server, "ticket:keyd"},
        {{RoleKind::member, "web", "web1"}, Usage::client, "ticket:member:web:web1"},
        {{RoleKind::relay, "", "paris"}, Usage::client, "ticket:relay:paris"},
    };

    for (const auto& expected : leaves) {
      CAPTURE(expected.uri);
      const auto leaf =
          make_leaf(authority, {expected.role, expected.usage, {"localhost"}, 10}, now);
      auto* certificate = leaf.certificate.get();
      const bool server = expected.usage == Usage::server;
      const auto role = role_of(certificate);
      REQUIRE(role.has_value());
      CHECK(role_uri(*role) == expected.uri);
      CHECK(problem(authority, certificate, server, now) == std::nullopt);
      CHECK(problem(authority, certificate, !server, now).has_value());
      CHECK(problem(authority, certificate, server, now + 10 * 24h - 1s) == std::nullopt);
      CHECK(problem(authority, certificate, server, now + 10 * 24h + 1s).has_value());
      CHECK(problem(authority, certificate, server, now - 1h) == std::nullopt);
      CHECK(problem(authority, certificate, server, now - 1h - 1s).has_value());
      CHECK(problem(make_authority("web", now), certificate, server, now).has_value());
    }
  }

  TEST_CASE("hosts become DNS names and addresses; what is neither is refused") {
    const auto authority = make_authority("web", now);
    const auto leaf = make_leaf(
        authority,
        {{RoleKind::keyd, "", ""}, Usage::server, {"keyd.lan", "192.0.2.1", "2001:db8::1"}}, now);

    CHECK(alternative_names(leaf.certificate.get()) ==
          std::vector<std::string>{"URI:ticket:keyd", "DNS:keyd.lan", "IP:192.0.2.1",
                                   "IP:2001:0db8:0000:0000:0000:0000:0000:0001"});
    for (const char* host : {"", "a b", "a,URI:ticket:keyd", "*", "a\n", ".a", "-a", "a:b"}) {
      CAPTURE(host);
      CHECK_THROWS_AS(make_leaf(authority, {{RoleKind::keyd, "", ""}, Usage::server, {host}}, now),
                      std::invalid_argument);
    }
  }

  TEST_CASE("a leaf never outlives its CA") {
    const auto authority = make_authority("web", now);
    const auto late = now + (authority_days - 5) * 24h;
    const auto leaf = make_leaf(authority, {{RoleKind::keyd, "", ""}, Usage::server, {}}, late);

    CHECK(not_after(leaf.certificate.get()) == not_after(authority.certificate.get()));
  }

  TEST_CASE("a leaf's key signs no certificates, and the CA makes no further CA") {
    const auto authority = make_authority("web", now);
    const auto leaf =
        make_leaf(authority, {{RoleKind::member, "web", "web1"}, Usage::client, {}}, now);
    const auto forged = make_leaf(leaf, {{RoleKind::keyd, "", ""}, Usage::server, {}}, now);
    auto chain = *parse_chain(certificate_pem(forged.certificate.get()) +
                              certificate_pem(leaf.certificate.get()));

    CHECK(
        chain_problem(chain, certificate_pem(authority.certificate.get()), true, now).has_value());
    CHECK(X509_get_pathlen(authority.certificate.get()) == 0);
  }

  TEST_CASE("serials and CA names differ each time") {
    std::set<std::string> serials, names;
    for (int i = 0; i < 20; ++i) {
      const auto authority = make_authority(std::string(63, 'w'), now);
      serials.insert(serial_of(authority.certificate.get()));
      names.insert(subject(authority.certificate.get()));
    }

    CHECK(serials.size() == 20);
    CHECK(names.size() == 20);
    for (const auto& serial : serials) CHECK(serial.size() == 40);
  }

  TEST_CASE("a private key survives its PEM") {
    const auto authority = make_authority("web", now);
    const auto pem = private_key_pem(authority.key.get());

    const auto read = parse_private_key(ticket::as_text(pem.expose()));
    CHECK(EVP_PKEY_eq(read.get(), authority.key.get()) == 1);
  }
}
