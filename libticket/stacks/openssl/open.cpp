// Opening: from the ticket that a client presents to "resume" or "full handshake".
#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "callbacks.hpp"

namespace ticket::openssl {

namespace {

tkt_core_counter counter_of(tkt_status reason) {
  switch (reason) {
    case TKT_MALFORMED:
      return TKT_COUNT_MALFORMED;
    case TKT_CONTEXT:
      return TKT_COUNT_CONTEXT;
    case TKT_EXPIRED:
      return TKT_COUNT_EXPIRED;
    case TKT_FORGED:
      return TKT_COUNT_FORGED;
    case TKT_LINEAGE:
      return TKT_COUNT_LINEAGE;
    case TKT_REVOKED:
      return TKT_COUNT_REVOKED;
    case TKT_NAME:
      return TKT_COUNT_NAME;
    default:
      return TKT_COUNT_UNKNOWN_KEY;
  }
}

tkt_core_counter counter_of(const tkt_core_epoch& epoch) {
  if (epoch.sealing != 0) return TKT_COUNT_RESUMED_SEALING;
  return epoch.announced != 0 ? TKT_COUNT_RESUMED_ANNOUNCED : TKT_COUNT_RESUMED_OPENING;
}

void count(Offer& offer, tkt_core_counter counter) {
  if (!offer.counted) tkt_core_count(offer.ring, counter);
  offer.counted = true;
}

void refuse(Offer& offer, tkt_status reason) {
  offer.reason = reason;
  count(offer, counter_of(reason));
}

// A second look at the same ticket, around a HelloRetryRequest, counts nothing.
void begin_offer(Offer& offer, tkt_ring* ring, const unsigned char* iv) {
  const bool again = offer.presented && std::memcmp(iv, offer.iv.data(), offer.iv.size()) == 0;
  const bool counted = again && offer.counted;
  offer = {};
  offer.presented = true;
  offer.sought = true;
  offer.counted = counted;
  offer.ring = ring;
  std::copy_n(iv, offer.iv.size(), offer.iv.begin());
}

void remember_context(Note& note, const Context& context) {
  std::memcpy(note.context.data(), context.name.c_str(), context.name.size() + 1);
}

const Context* find_context(SSL* ssl, const Attachment& attachment, Note& note) {
  if (!read_server_name(ssl, &note.name)) {
    refuse(note.offer, TKT_MALFORMED);
    return nullptr;
  }
  const Host host = attachment.host(ssl, note.name);
  note.cas = host.cas;
  note.offer.host = host.chosen;
  if (host.context == nullptr) refuse(note.offer, TKT_CONTEXT);
  return host.context;
}

// An OpenSSL that is to seal no ticket never asks prepare_ticket, which catches a connection
// that was switched behind our back: to another context, or to who demands a certificate.
bool seals_in_tls13(const SSL* ssl) { return SSL_get_num_tickets(ssl) != 0; }

// Nobody told where this name is served, and a servername callback may yet do so.
bool may_be_elsewhere(const SSL* ssl, const Note& note, const Context& context) {
  return context.fallback && SSL_get_SSL_CTX(ssl) == note.first;
}

// Keeps an old ticket when nothing may seal a new one.
bool has_newer_epoch(const Attachment& attachment, const Note& note) {
  const auto& epoch = note.offer.epoch;
  tkt_core_epoch sealing;
  return epoch.sealing == 0 && epoch.announced == 0 &&
         tkt_core_sealing(attachment.ring(), note.offer.context, note.now, &sealing) == TKT_OK;
}

// TLS 1.3: each ticket is used once, so each resumption brings a new one.
// TLS 1.2: when its epoch no longer seals, or when prepare_ticket must look.
bool renews(const SSL* ssl, const Attachment& attachment, const Note& note, bool must_look) {
  return is_tls13(ssl) || must_look || has_newer_epoch(attachment, note);
}

// Reads what the minter wrote. Without it (HAProxy's tickets have none) the
// session's own time is the best that is known of its birth.
tkt_status read_attribution(SSL_SESSION* session, const Attachment& attachment, Offer& offer) {
  void* data = nullptr;
  std::size_t size = 0;
  offer.attributed = SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size != 0;
  if (offer.attributed) {
    return tkt_core_attribution_parse(static_cast<const unsigned char*>(data), size,
                                      &offer.attribution);
  }
  offer.attribution.born = SSL_SESSION_get_time(session);
  offer.attribution.sealed = offer.attribution.born;
  const bool required = attachment.require_attribution() || offer.epoch.attributed_only != 0;
  return required ? TKT_MALFORMED : TKT_OK;
}

bool has_expired(const SSL_SESSION* session, tkt_core_time now) {
  return now.latest - SSL_SESSION_get_time(session) >= SSL_SESSION_get_timeout(session);
}

// The name that OpenSSL wrote into the session; it does so for a server with a
// servername callback alone.
bool same_session_name(const ServerName& name, const SSL_SESSION* session) {
  const char* hostname = SSL_SESSION_get0_hostname(session);
  ServerName made_for;
  return hostname == nullptr || (made_for.assign(hostname) && made_for.view() == name.view());
}

bool name_matters(const SSL* ssl, tkt_openssl_binding binding) {
  if (binding == TKT_ANY_NAME) return false;
  return binding == TKT_SAME_NAME || !is_tls13(ssl);  // RFC 6066, section 3
}

bool name_holds(const SSL* ssl, const SSL_SESSION* session, const Attachment& attachment,
                Note& note) {
  if (!name_matters(ssl, attachment.binding())) return true;
  if (note.offer.attributed && !note.same_hash()) return false;
  return (note.offer.attributed && is_tls13(ssl)) || same_session_name(note.name, session);
}

// A client certificate that a session brings is worth what the host that saw it was told to
// believe. So where one is asked for, a ticket resumes only under the name it was made for
// and by the same CAs' word, and elsewhere none that brings one. (A ticket that nobody
// attributed does not tell: its context must be enough.)
bool certificate_holds(SSL_SESSION* session, Note& note) {
  Offer& offer = note.offer;
  offer.cas = note.cas;
  offer.certificate = SSL_SESSION_get0_peer(session) != nullptr;
  if (!note.cas.asked) return !offer.certificate;
  if (note.cas.demanded && !offer.certificate) return false;
  return !offer.attributed || note.same_hash();
}

// Where client certificates are asked for, nginx ends a TLS 1.3 handshake that resumes a
// session of another name than the client asks for now, to the letter.
bool letters_hold(SSL* ssl, const SSL_SESSION* session, const Note& note) {
  const char* made_for = SSL_SESSION_get0_hostname(session);
  if (!note.cas.asked || !is_tls13(ssl) || made_for == nullptr) return true;
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return false;
  return host_name_in(bytes, size) == std::string_view(made_for);
}

// TKT_OK, or why the session is not resumed.
tkt_status judge(SSL* ssl, SSL_SESSION* session, const Attachment& attachment, Note& note) {
  Offer& offer = note.offer;
  tkt_status status = read_attribution(session, attachment, offer);
  if (status == TKT_OK) status = tkt_core_check(attachment.ring(), note.now, &offer.attribution);
  if (status != TKT_OK) return status;
  if (has_expired(session, note.now)) return TKT_EXPIRED;
  if (!certificate_holds(session, note)) return TKT_CONTEXT;
  const bool named = name_holds(ssl, session, attachment, note) && letters_hold(ssl, session, note);
  return named ? TKT_OK : TKT_NAME;
}

// OpenSSL reckons the age of a ticket that brings early data by time(), which may run
// behind the clock that the ticket was sealed by: by milliseconds, as its clock is a coarse
// one, or because it was set back. A ticket from the future brings none, so OpenSSL gets
// the age that it has by our clock.
void age_by_our_clock(SSL_SESSION* session, tkt_core_time now) {
  const std::int64_t behind = now.steady - std::int64_t(std::time(nullptr));
  if (behind > 0) SSL_SESSION_set_time(session, SSL_SESSION_get_time(session) - behind);
}

// Nothing was decrypted. Counted already, unless OpenSSL found the ticket too
// short to look for a key, or its tag wrong.
void note_undecrypted(const Attachment& attachment, Note& note, bool sought) {
  Offer& offer = note.offer;
  if (!sought) {
    offer = {};
    offer.presented = true;
    offer.ring = attachment.ring();
    refuse(offer, TKT_MALFORMED);
  } else if (offer.keyed) {
    refuse(offer, TKT_FORGED);
  }
}

}  // namespace

int open_key(SSL* ssl, const unsigned char* key_name, const unsigned char* iv,
             EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  Note* note = note_of(ssl);
  const Attachment* attachment = note == nullptr ? nullptr : settled(ssl, *note);
  if (attachment == nullptr) return 0;

  note->keep_if_of(ssl);
  Offer& offer = note->offer;
  begin_offer(offer, attachment->ring(), iv);
  note->early = TKT_EARLY_NONE;
  note->settled = nullptr;
  const Context* context = find_context(ssl, *attachment, *note);
  if (context == nullptr) return 0;
  remember_context(*note, *context);
  const bool must_look = may_yet_switch(ssl, *note, *context) ||
                         (!is_tls13(ssl) && may_yet_demand(ssl, *note, *attachment));
  if (is_tls13(ssl) && !seals_in_tls13(ssl) && may_be_elsewhere(ssl, *note, *context)) {
    refuse(offer, TKT_CONTEXT);
    return 0;
  }

  offer.context = context->number;
  note->now = tkt_core_now(offer.ring);
  const tkt_status status =
      tkt_core_open(offer.ring, offer.context, note->now, key_name, iv, cipher, mac, &offer.epoch);
  if (status != TKT_OK) {
    refuse(offer, status);
    return 0;
  }
  offer.keyed = true;
  return renews(ssl, *attachment, *note, must_look) ? 2 : 1;
}

SSL_TICKET_RETURN judge_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t,
                               SSL_TICKET_STATUS status, void*) {
  Note* note = note_of(ssl);
  const Attachment* attachment = note == nullptr ? nullptr : settled(ssl, *note);
  if (attachment == nullptr) return SSL_TICKET_RETURN_IGNORE_RENEW;
  note->keep_if_of(ssl);
  if (status == SSL_TICKET_EMPTY) {
    note->offer = {};
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  const bool sought = std::exchange(note->offer.sought, false);
  if (status == SSL_TICKET_NO_DECRYPT) {
    note_undecrypted(*attachment, *note, sought);
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }

  Offer& offer = note->offer;
  const tkt_status reason = judge(ssl, session, *attachment, *note);
  if (reason != TKT_OK) {
    refuse(offer, reason);
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  offer.opened = true;
  age_by_our_clock(session, note->now);
  count(offer, counter_of(offer.epoch));
  return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

}  // namespace ticket::openssl
