#include "client/facts.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace ticket::client {

namespace {

crypto::Sha256 fingerprint_of(const X509* certificate) {
  crypto::Sha256 digest{};
  unsigned size = 0;
  if (certificate != nullptr) X509_digest(certificate, EVP_sha256(), raw(digest), &size);
  return digest;
}

// Whom an SSL_CTX trusts in its connections; nullptr = its usual store.
X509_STORE* verify_store(SSL_CTX* ctx) {
  X509_STORE* store = nullptr;
  SSL_CTX_get0_verify_cert_store(ctx, &store);
  return store;
}

X509_STORE* verify_store(SSL* ssl) {
  X509_STORE* store = nullptr;
  SSL_get0_verify_cert_store(ssl, &store);
  return store;
}

// The one that the server's chain will be looked up in.
X509_STORE* effective_store(SSL* ssl) {
  X509_STORE* store = verify_store(ssl);
  return store != nullptr ? store : SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
}

// Whether anything but the verify callback, which is compared, takes the place of OpenSSL's own.
bool has_functions(const X509_STORE* store) {
  return X509_STORE_get_verify(store) != nullptr || X509_STORE_get_get_issuer(store) != nullptr ||
         X509_STORE_get_check_issued(store) != nullptr ||
         X509_STORE_get_check_revocation(store) != nullptr ||
         X509_STORE_get_get_crl(store) != nullptr || X509_STORE_get_check_crl(store) != nullptr ||
         X509_STORE_get_cert_crl(store) != nullptr ||
         X509_STORE_get_check_policy(store) != nullptr ||
         X509_STORE_get_lookup_certs(store) != nullptr ||
         X509_STORE_get_lookup_crls(store) != nullptr;
}

// A store of the connection's own, or one that decides by functions or names of its own.
bool has_strange_store(SSL* ssl) {
  if (verify_store(ssl) != verify_store(SSL_get_SSL_CTX(ssl))) return true;
  const X509_STORE* store = effective_store(ssl);
  if (has_functions(store)) return true;
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store);
  char* address = X509_VERIFY_PARAM_get1_ip_asc(param);
  OPENSSL_free(address);
  return address != nullptr || X509_VERIFY_PARAM_get0_host(param, 0) != nullptr ||
         X509_VERIFY_PARAM_get0_email(param) != nullptr;
}

StoreSettings store_settings(SSL* ssl) {
  const X509_STORE* store = effective_store(ssl);
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store);
  StoreSettings settings;
  settings.depth = X509_VERIFY_PARAM_get_depth(param);
  settings.flags = X509_VERIFY_PARAM_get_flags(param);
  settings.host_flags = X509_VERIFY_PARAM_get_hostflags(param);
  settings.callback = reinterpret_cast<std::uintptr_t>(X509_STORE_get_verify_cb(store));
  settings.time = X509_VERIFY_PARAM_get_time(param);
  return settings;
}

// OpenSSL tells nobody: a record that cannot be is refused in one way without DANE, and in
// another with it.
bool uses_dane(SSL* ssl) {
  ERR_set_mark();
  const int added = SSL_dane_tlsa_add(ssl, 255, 255, 255, nullptr, 0);
  ERR_pop_to_mark();
  return added >= 0;
}

void set_checks(SSL* ssl, Target& target) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  for (int i = 0; const char* host = X509_VERIFY_PARAM_get0_host(param, i); ++i) {
    target.checked_hosts.emplace_back(host);
  }
  if (char* address = X509_VERIFY_PARAM_get1_ip_asc(param); address != nullptr) {
    target.checked_address = address;
    OPENSSL_free(address);
  }
}

// Setting 0 means "as far as OpenSSL goes"; the options take single versions away.
void set_versions(SSL* ssl, Target& target) {
  const auto options = SSL_get_options(ssl);
  const int lowest = static_cast<int>(SSL_get_min_proto_version(ssl));
  const int highest = static_cast<int>(SSL_get_max_proto_version(ssl));
  target.lowest_version = lowest == 0 ? TLS1_VERSION : lowest;
  target.highest_version = highest == 0 ? TLS1_3_VERSION : highest;
  if ((options & SSL_OP_NO_TLSv1_3) != 0) {
    target.highest_version = std::min(target.highest_version, TLS1_2_VERSION);
  }
  if ((options & SSL_OP_NO_TLSv1_2) != 0) {
    target.lowest_version = std::max(target.lowest_version, TLS1_3_VERSION);
  }
}

std::string_view ticket_of(const SSL_SESSION* session) {
  const unsigned char* ticket = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session, &ticket, &size);
  return {reinterpret_cast<const char*>(ticket), size};
}

}  // namespace

VerifySettings verify_settings(SSL* ssl) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  const auto callback = SSL_get_verify_callback(ssl);
  VerifySettings settings;
  settings.peer = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
  settings.depth = X509_VERIFY_PARAM_get_depth(param);
  settings.auth_level = X509_VERIFY_PARAM_get_auth_level(param);
  settings.flags = X509_VERIFY_PARAM_get_flags(param);
  settings.callback = reinterpret_cast<std::uintptr_t>(callback);
  settings.security_level = SSL_get_security_level(ssl);
  settings.host_flags = X509_VERIFY_PARAM_get_hostflags(param);
  settings.transparency = SSL_ct_is_enabled(ssl) == 1;
  settings.store = store_settings(ssl);
  settings.cert_flags = static_cast<std::uint32_t>(SSL_set_cert_flags(ssl, 0));  // adds none
  settings.time = X509_VERIFY_PARAM_get_time(param);
  return settings;
}

bool is_strange(SSL* ssl) {
  // a resumption staples nothing, so who demands a staple would end it
  const bool staple = SSL_get_tlsext_status_type(ssl) == TLSEXT_STATUSTYPE_ocsp;
  // DTLS counts its versions downwards
  return staple || SSL_is_dtls(ssl) == 1 || uses_dane(ssl) ||
         X509_VERIFY_PARAM_get0_email(SSL_get0_param(ssl)) != nullptr || has_strange_store(ssl);
}

Target target_of(SSL* ssl, const Server& server) {
  Target target{server};
  target.verify = verify_settings(ssl);
  set_checks(ssl, target);
  target.identity = fingerprint_of(SSL_get_certificate(ssl));
  set_versions(ssl, target);
  target.ciphers = SSL_get_ciphers(ssl);
  return target;
}

Lineage full_handshake(SSL* ssl, const Server& server, sys_seconds begun) {
  Lineage lineage;
  lineage.born = begun;
  lineage.name = std::string(server.host());
  lineage.leaf.reset(SSL_get1_peer_certificate(ssl));
  lineage.verify = verify_settings(ssl);
  const bool by_dane = SSL_get0_dane_authority(ssl, nullptr, nullptr) >= 0;
  lineage.chain_verified =
      lineage.verify.peer && SSL_get_verify_result(ssl) == X509_V_OK && !by_dane;
  lineage.identity = fingerprint_of(SSL_get_certificate(ssl));
  return lineage;
}

std::string agreed_protocol(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return size == 0 ? std::string() : std::string(reinterpret_cast<const char*>(name), size);
}

bool same_ticket(const SSL_SESSION* one, const SSL_SESSION* other) {
  return ticket_of(one) == ticket_of(other);
}

}  // namespace ticket::client
