#include "client/may_offer.hpp"

#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "client/still_holds.hpp"

namespace ticket::client {

namespace {

bool is_alive(const Session& session, sys_seconds now) {
  return still_holds(session.received, session.expires, now) &&
         still_holds(session.lineage->born, session.expires, now);
}

// TLS 1.3 keeps only the cipher's hash (RFC 8446, 4.2.11); before it the very cipher.
bool has_cipher(const Session& session, const STACK_OF(SSL_CIPHER) * ciphers) {
  if (ciphers == nullptr) return true;
  if (session.cipher == nullptr) return false;
  for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
    const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(ciphers, i);
    const bool of_13 = SSL_CIPHER_get_kx_nid(cipher) == NID_kx_any;
    const bool fits = session.once()
                          ? of_13 && SSL_CIPHER_get_handshake_digest(cipher) ==
                                         SSL_CIPHER_get_handshake_digest(session.cipher)
                          : SSL_CIPHER_get_id(cipher) == SSL_CIPHER_get_id(session.cipher);
    if (fits) return true;
  }
  return false;
}

// In place of ==, which compares byte by byte.
bool same(const crypto::Sha256& a, const crypto::Sha256& b) {
  return std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool verifies_alike(const VerifySettings& then, const Target& target) {
  auto now = target.verify;
  if (target.store_to_come) now.store = target.likely_store.value_or(then.store);
  return now == then;
}

// `list`: u8 length | bytes, again and again (RFC 7301, 3.1).
bool has_protocol(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const auto size = static_cast<unsigned char>(list.front());
    if (list.substr(1, size) == wanted) return true;
    list.remove_prefix(std::min<std::size_t>(list.size(), size + std::size_t{1}));
  }
  return false;
}

Verdict under_another_name(const Session& session, const Target& target, bool any_name,
                           sys_seconds now) {
  const Lineage& lineage = *session.lineage;
  if (!target.verify.peer || !lineage.chain_verified) return Verdict::unverified;
  // its yes may have been for that one name: a user's, say, or a pin
  if (lineage.verify.callback != 0 || lineage.verify.store.callback != 0) return Verdict::callback;
  if (!session.once() && !any_name) return Verdict::tls12;
  if (now < lineage.valid_from) return Verdict::certificate_expired;
  return Verdict::yes;
}

// The connection's own checks, as OpenSSL would make them in a full handshake; the table of
// plain names does not know a ".sub.test".
bool passes_checks(const Lineage& lineage, const Target& target) {
  const auto& hosts = target.checked_hosts;
  const auto covered = [&](const std::string& host) {
    return X509_check_host(lineage.leaf.get(), host.data(), host.size(),
                           lineage.verify.host_flags_in_force(), nullptr) == 1;
  };
  const bool is_target = std::ranges::count(hosts, target.server.host()) != 0;
  return (hosts.empty() || is_target || std::ranges::any_of(hosts, covered)) &&
         (target.checked_address.empty() || lineage.covers_address(target.checked_address));
}

}  // namespace

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::yes:
      return "offered";
    case Verdict::none:
      return "no session";
    case Verdict::expired:
      return "expired";
    case Verdict::version:
      return "TLS version not allowed";
    case Verdict::cipher:
      return "cipher not allowed";
    case Verdict::alpn:
      return "application protocol not offered";
    case Verdict::verify:
      return "other verification settings";
    case Verdict::identity:
      return "other client certificate";
    case Verdict::unverified:
      return "other name, not verified";
    case Verdict::callback:
      return "other name, verified by a callback";
    case Verdict::tls12:
      return "other name, TLS 1.2";
    case Verdict::certificate_expired:
      return "certificate expired";
    case Verdict::not_covered:
      return "certificate of another name";
    case Verdict::moved:
      return "of a server outside the pool";
    case Verdict::after_failure:
      return "after a failed handshake";
    case Verdict::file_stands:
      return "cache file cannot be removed";
    case Verdict::changed:
      return "changed after it was prepared";
    case Verdict::strange:
      return "left alone: DANE, OCSP, DTLS, own store or mail address";
  }
  return "unknown";
}

Verdict may_offer(const Session& session, const Target& target, bool any_name, sys_seconds now) {
  const Lineage& lineage = *session.lineage;
  if (!is_alive(session, now)) return Verdict::expired;
  if (session.version < target.lowest_version || session.version > target.highest_version) {
    return Verdict::version;
  }
  if (!session.has_ticket && session.server != target.server) return Verdict::moved;
  if (!verifies_alike(lineage.verify, target)) return Verdict::verify;
  if (!same(lineage.identity, target.identity)) return Verdict::identity;
  if (!has_cipher(session, target.ciphers)) return Verdict::cipher;
  if (target.alpn && !session.alpn.empty() && !has_protocol(*target.alpn, session.alpn)) {
    return Verdict::alpn;
  }
  if (lineage.chain_verified && now > lineage.valid_until) return Verdict::certificate_expired;
  const bool same_name = lineage.name.key() == target.server.host_key();
  if (!same_name) {
    const auto verdict = under_another_name(session, target, any_name, now);
    if (verdict != Verdict::yes) return verdict;
  }
  const bool checks = !target.checked_hosts.empty() || !target.checked_address.empty();
  const bool covered =
      (same_name && !checks) || (lineage.covers(target.server) && passes_checks(lineage, target));
  return covered ? Verdict::yes : Verdict::not_covered;
}

bool may_send_early(const Session& session, const Server& server) {
  return session.lineage->name.key() == server.host_key() &&
         session.server.host_key() == server.host_key();
}

}  // namespace ticket::client
