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

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// Empty when OpenSSL has to be asked.
NameSet plain_names_of(const X509* leaf) {
  const std::unique_ptr<GENERAL_NAMES, FreeNames> all(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  NameSet names;
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all.get(), i);
    if (one->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(one->d.dNSName));
    const auto name =
        normal_host_name({text, static_cast<std::size_t>(ASN1_STRING_length(one->d.dNSName))});
    if (!name || name->size() != static_cast<std::size_t>(ASN1_STRING_length(one->d.dNSName))) {
      return {};  // a wildcard, or something odd
    }
    names.add(key_of(*name));
  }
  return names;
}

}  // namespace

void NameSet::add(const NameKey& name) {
  if (size_ < first_.size()) {
    first_[size_++] = name;
  } else {
    rest_.add(name, 0);
  }
}

bool NameSet::contains(const NameKey& name) const {
  const auto end = first_.begin() + size_;
  return std::find(first_.begin(), end, name) != end || rest_.find(name).has_value();
}

bool Lineage::covers(const Server& server) const {
  const auto host = server.host();
  const auto flags = verify.host_flags_in_force();
  if (server.is_address()) return covers_address(std::string(host));
  if (!plain_names.empty() && flags == 0) return plain_names.contains(server.host_key());
  return X509_check_host(leaf.get(), host.data(), host.size(), flags, nullptr) == 1;
}

bool Lineage::covers_address(const std::string& address) const {
  return X509_check_ip_asc(leaf.get(), address.c_str(), verify.host_flags_in_force()) == 1;
}

std::shared_ptr<const Lineage> make_lineage(Lineage&& lineage) {
  if (!lineage.leaf) return nullptr;
  const auto from = time_of(X509_get0_notBefore(lineage.leaf.get()));
  const auto until = time_of(X509_get0_notAfter(lineage.leaf.get()));
  if (!from || !until) return nullptr;
  lineage.valid_from = *from;
  lineage.valid_until = *until;
  lineage.plain_names = plain_names_of(lineage.leaf.get());
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

std::size_t ticket_size(const SSL_SESSION* session) {
  const unsigned char* ticket = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session, &ticket, &size);
  return size;
}

SessionPtr copy(const SSL_SESSION* session) { return SessionPtr(SSL_SESSION_dup(session)); }

}  // namespace ticket::client
