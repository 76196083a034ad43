#include "client/session.hpp"

#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <optional>

namespace ticket::client {

namespace {

std::optional<sys_seconds> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return sys_seconds(seconds(timegm(&parts)));
}

}  // namespace

bool Lineage::covers(const std::string& host, bool is_address) const {
  return is_address ? X509_check_ip_asc(leaf.get(), host.c_str(), 0) == 1
                    : X509_check_host(leaf.get(), host.data(), host.size(), 0, nullptr) == 1;
}

std::shared_ptr<const Lineage> make_lineage(Lineage&& lineage) {
  if (!lineage.leaf) return nullptr;
  const auto from = time_of(X509_get0_notBefore(lineage.leaf.get()));
  const auto until = time_of(X509_get0_notAfter(lineage.leaf.get()));
  if (!from || !until) return nullptr;
  lineage.valid_from = *from;
  lineage.valid_until = *until;
  return std::make_shared<const Lineage>(std::move(lineage));
}

sys_seconds end_of(const SSL_SESSION* session, sys_seconds received) {
  const seconds hint(SSL_SESSION_get_ticket_lifetime_hint(session));
  const bool unspecified =
      hint == seconds(0) && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION;
  const seconds life = unspecified ? seconds(SSL_SESSION_get_timeout(session)) : hint;
  return received + std::clamp(life, seconds(0), longest_life);
}

Session make_session(SessionPtr session, std::shared_ptr<const Lineage> lineage,
                     const Server& server, std::string alpn, sys_seconds received) {
  Session made{nullptr, std::move(lineage), server, std::move(alpn), received, received};
  if (!session) return made;
  made.expires = end_of(session.get(), received);
  made.version = SSL_SESSION_get_protocol_version(session.get());
  made.cipher = SSL_SESSION_get0_cipher(session.get());
  made.has_ticket = SSL_SESSION_has_ticket(session.get()) == 1;
  made.session = std::move(session);
  return made;
}

SessionPtr copy(const SSL_SESSION* session) { return SessionPtr(SSL_SESSION_dup(session)); }

}  // namespace ticket::client
