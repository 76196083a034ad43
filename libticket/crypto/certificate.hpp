// X.509 by OpenSSL: who a certificate says its bearer is, whether a CA vouches
// for it, and signatures by its key. Roles are URI SANs: ticket:keyd,
// ticket:relay:NAME, ticket:member:POOL:NAME.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/checked.hpp"
#include "base/clock.hpp"

namespace ticket::crypto {

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeX509>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeX509>;

// Leaf first. Rejects with malformed when there is none or more than 8.
[[nodiscard]] Checked<std::vector<Certificate>> parse_chain(std::string_view pem);

enum class RoleKind { none, keyd, relay, member };

struct Role {
  RoleKind kind = RoleKind::none;
  std::string pool;  // of a member
  std::string name;  // of a relay or member
};

// The role in the leaf's SANs; kind none when it has no ticket: URI, malformed
// when it has two or one that does not parse.
[[nodiscard]] Checked<Role> role_of(X509* leaf);

// What a pool, member or relay may be called: 1-63 of [a-z0-9._-], letters in
// either case, not beginning with '.' or '-' (names become file names and
// arguments).
bool valid_name(std::string_view name);

// The URI of a role, as it stands in the certificate: "ticket:member:web:web1".
// Empty for kind none.
std::string role_uri(const Role& role);

// When it begins to be valid; the epoch's beginning where that is no time.
sys_seconds begins(X509* certificate);

// "sha256:" and 64 hex digits of the DER, as `openssl x509 -fingerprint` has it: for people.
// Of one certificate that an ECDSA key signed anybody makes a second that is as good and has
// another fingerprint (s and n - s both verify), so nobody is counted by it.
std::string fingerprint(X509* certificate);
// 64 hex digits, SHA-256 of what the CA signed (tbsCertificate, RFC 5280, 4.1), whichever way
// its signature is written: to tell apart who shows one.
std::string tbs_hash(X509* certificate);
// RFC 2253, "CN=web1,O=Example".
std::string subject(X509* certificate);
// "DNS:web1.example.org", "URI:...", "IP:192.0.2.1", "email:..."; names with
// anything but printable ASCII are left out.
std::vector<std::string> alternative_names(X509* certificate);

// Whether the chain leads to a CA in `ca_pem` at `now`, with a leaf fit for a
// TLS server when `server`, else for a TLS client. nullopt when it does, else
// why not in English. A CA's own certificate is fit for neither; keys and
// signatures weaker than 112 bits (RSA-1024, SHA-1) are refused.
std::optional<std::string> chain_problem(const std::vector<Certificate>& chain,
                                         std::string_view ca_pem, bool server, sys_seconds now);

// Signatures with a certificate's key: RSA with SHA-256 (made as PSS, accepted
// as PSS or PKCS#1 v1.5), ECDSA with SHA-256, Ed25519. Verifying takes just
// these. Signing with another key throws std::runtime_error.
Bytes sign_with(EVP_PKEY* key, BytesView message);
bool verify_with(X509* certificate, BytesView message, BytesView signature);

// Reads a PEM private key without a passphrase; empty when it does not parse.
PrivateKey parse_private_key(std::string_view pem);

}  // namespace ticket::crypto
