#include "inspection.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "crypto/ticket_cipher.hpp"
#include "ring/derive.hpp"
#include "wire/layout.hpp"
#include "wire/ticket_data.hpp"

namespace ticketctl {

using namespace ticket;
using ring::Epoch;
using ring::Ring;

namespace {

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;

// One epoch's key for one context: key_name 16 | hmac key 32 | aes key 32.
struct Key {
  const Epoch* epoch = nullptr;
  std::string context;
  SecretBytes material;
};

std::optional<Key> find_key(BytesView name, const Ring& ring,
                            const std::vector<std::string>& contexts) {
  for (const auto& context : contexts) {
    for (std::size_t i = 0; i < ring.epochs.size(); ++i) {
      Key key{&ring.epochs[i], context, SecretBytes(wire::stek_size)};
      ring::derive_stek(ring.secret(i), ring::purpose::openssl, ring.pool, context,
                        key.material.fill().first<wire::stek_size>());
      if (std::ranges::equal(key.material.expose().first(wire::key_name_size), name)) return key;
    }
  }
  return std::nullopt;
}

// As OpenSSL opens a ticket: first the mac, then the state. An empty result: forged.
SecretBytes decrypt(const TicketParts& parts, const Key& key) {
  const auto material = key.material.expose();
  const crypto::TicketCipher keyed(material.subspan(16, 32), material.subspan(48, 32));
  const std::unique_ptr<EVP_CIPHER_CTX, Free> cipher(EVP_CIPHER_CTX_new());
  const std::unique_ptr<EVP_MAC, Free> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  const std::unique_ptr<EVP_MAC_CTX, Free> mac(EVP_MAC_CTX_new(hmac.get()));
  if (!cipher || !mac || !keyed.start_open(cipher.get(), mac.get(), raw(parts.iv))) {
    throw std::runtime_error("OpenSSL failed to key a ticket's cipher");
  }
  ByteArray<wire::mac_size> tag;
  std::size_t tag_size = 0;
  if (EVP_MAC_update(mac.get(), raw(parts.authenticated), parts.authenticated.size()) != 1 ||
      EVP_MAC_final(mac.get(), raw(tag), &tag_size, tag.size()) != 1 || tag_size != tag.size() ||
      sodium_memcmp(tag.data(), parts.mac.data(), tag.size()) != 0) {
    return {};
  }
  SecretBytes state(parts.sealed_state.size());
  int size = 0, last = 0;
  auto* const out = raw(state.fill());
  if (EVP_DecryptUpdate(cipher.get(), out, &size, raw(parts.sealed_state),
                        static_cast<int>(parts.sealed_state.size())) != 1 ||
      EVP_DecryptFinal_ex(cipher.get(), out + size, &last) != 1) {
    return {};
  }
  return SecretBytes::copy_of(
      state.expose().first(static_cast<std::size_t>(size) + static_cast<std::size_t>(last)));
}

SessionPtr parse_state(const SecretBytes& state) {
  const auto* bytes = raw(state.expose());
  SessionPtr session(d2i_SSL_SESSION(nullptr, &bytes, static_cast<long>(state.size())));
  ERR_clear_error();
  return session;
}

// What the minter wrote. Without it the session's own time is what is known of
// its birth, as in a server. False when it is there and malformed.
bool read_attribution(SSL_SESSION* session, Finding& finding) {
  void* data = nullptr;
  std::size_t size = 0;
  const bool there = SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size != 0;
  if (!there) return true;
  const auto parsed = wire::parse_ticket_data(BytesView(static_cast<const std::byte*>(data), size));
  if (parsed) finding.attribution = parsed->attribution;
  return parsed.has_value();
}

// The session is open: what do its pool's rules say?
std::optional<Rejection> judge(SSL_SESSION* session, const Ring& ring, Moment now,
                               Finding& finding) {
  finding.made = sys_seconds(seconds(SSL_SESSION_get_time(session)));
  finding.expires = finding.made + seconds(SSL_SESSION_get_timeout(session));
  if (const char* name = SSL_SESSION_get0_hostname(session)) finding.server_name = name;
  if (!read_attribution(session, finding)) return Rejection::malformed;
  wire::Attribution origin;
  origin.born = origin.sealed = finding.made;
  origin = finding.attribution.value_or(origin);
  finding.lineage_ends = origin.born + ring.policy.lineage;
  if (const auto objection = ring.objection(origin, now)) return objection;
  if (now.latest >= finding.expires) return Rejection::expired;
  return std::nullopt;
}

}  // namespace

Finding inspect(BytesView ticket, const Ring& ring, const std::vector<std::string>& contexts,
                Moment now) {
  Finding finding;
  const auto parts = ticket_parts(ticket);
  if (!parts) {
    finding.objection = Rejection::malformed;
    return finding;
  }
  const auto key = find_key(parts->key_name, ring, contexts);
  if (!key) {
    finding.objection = Rejection::unknown_key;
    return finding;
  }
  const auto* sealing = ring::sealing_epoch(ring.epochs, ring.policy.stretch, now);
  const auto& epoch = *key->epoch;
  finding.epoch = &epoch;
  finding.context = key->context;
  finding.state = ring::to_text(&epoch == sealing ? ring::EpochState::sealing : epoch.state(now));

  const auto state = decrypt(*parts, *key);
  if (state.size() == 0) {
    finding.objection = Rejection::forged;
    return finding;
  }
  const auto session = parse_state(state);
  finding.opened = session != nullptr;
  finding.objection = session ? judge(session.get(), ring, now, finding) : Rejection::malformed;
  // A key that has ended opens nothing, whatever was inside.
  if (epoch.burned) finding.objection = Rejection::unknown_key;
  if (!epoch.burned && now.latest >= epoch.opens_until) finding.objection = Rejection::expired;
  return finding;
}

}  // namespace ticketctl
