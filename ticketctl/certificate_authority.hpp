// A pool's own CA: P-256 keys, certificates that carry a role. OpenSSL alone.
#pragma once

#include <string>
#include <vector>

#include "base/secret.hpp"
#include "crypto/certificate.hpp"

namespace ticketctl {

struct Identity {
  ticket::crypto::Certificate certificate;
  ticket::crypto::PrivateKey key;
};

constexpr int authority_days = 3652;  // 10 years
constexpr int leaf_days = 397;        // what browsers would still take of a public CA

// A self-signed CA that may sign leaves only (pathlen 0). Its subject ends in
// random digits, so that two CAs of one pool are told apart.
Identity make_authority(const std::string& pool, ticket::sys_seconds now);

enum class Usage { server, client };

struct Leaf {
  ticket::crypto::Role role;  // becomes the URI SAN
  Usage usage = Usage::client;
  std::vector<std::string> hosts;  // DNS names and IP addresses
  int days = leaf_days;            // cut to the CA's own end
};

// Valid from an hour before `now`, because clocks differ. Throws
// std::invalid_argument for a host that is neither a DNS name nor an address.
Identity make_leaf(const Identity& authority, const Leaf& leaf, ticket::sys_seconds now);

// Whether "web1.example.org", "192.0.2.1" or "2001:db8::1".
bool is_host(const std::string& host);

std::string certificate_pem(X509* certificate);
ticket::SecretBytes private_key_pem(EVP_PKEY* key);  // PKCS#8, no passphrase

// The last day of a certificate, Unix time.
ticket::sys_seconds not_after(X509* certificate);

}  // namespace ticketctl
