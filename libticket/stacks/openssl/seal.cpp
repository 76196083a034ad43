// Sealing: what the next ticket carries, and the key it is sealed under.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "callbacks.hpp"

namespace ticket::openssl {

namespace {

// The name that this handshake is for. A TLS 1.2 resumption, where OpenSSL tells
// the old name, had its ClientHello read by open_key just now.
void settle_name(const SSL* ssl, Note& note, bool resumed) {
  if (resumed && !is_tls13(ssl)) return;
  note.name.assign(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
}

void remember_context(Note& note, const Context* context) {
  note.context[0] = '\0';
  if (context == nullptr) return;
  std::memcpy(note.context.data(), context->name.c_str(), context->name.size() + 1);
}

bool certificate_crossed(const Note& note) {
  const Offer& offer = note.offer;
  if (!offer.certificate) return note.cas.demanded;
  return note.cas.asked && offer.attributed && note.cas.digest != offer.cas.digest;
}

void explain_crossing(tkt_ring* ring, const Note& note, const char* opened_under) {
  char text[1280];
  std::snprintf(
      text, sizeof text,
      "handshake ended: a ticket of context '%s' was resumed for '%s', which belongs to "
      "context '%s' or asks for other client certificates. The servername callback switches "
      "SSL_CTX after the ticket is opened: tell the port's SSL_CTX by `names` or "
      "`choose` (<ticket/openssl.h>)",
      opened_under, note.name.view().data(), note.context.data());
  tkt_core_log(ring, TKT_LOG_ERROR, text);
}

// Seconds that a ticket made now is good for (promise 4); none when <= 0.
std::int64_t seconds_left(const Attachment& attachment, const tkt_core_epoch& epoch,
                          std::int64_t born, tkt_core_time now) {
  return std::min({attachment.lifetime(epoch), epoch.opens_until - now.latest,
                   born + std::int64_t(epoch.lineage) - now.latest});
}

// Names the table of the flights that may come with the ticket. Without one it takes no
// early data, and says so to the client.
void offer_early_data(SSL* ssl, const Attachment& attachment, const tkt_core_epoch& epoch,
                      unsigned char table[8]) {
  std::uint32_t bytes = is_tls13(ssl) ? attachment.early_data() : 0;
  if (bytes != 0 && tkt_core_flight_table(attachment.ring(), epoch.number, table) == 0) bytes = 0;
  if (SSL_get_max_early_data(ssl) == bytes) return;
  SSL_set_max_early_data(ssl, bytes);  // else OpenSSL would keep the session by itself
  SSL_SESSION_set_max_early_data(SSL_get_session(ssl), bytes);
}

bool write_attribution(SSL_SESSION* session, const Note& note, tkt_core_attribution& attribution,
                       const tkt_core_epoch& epoch, std::int64_t born) {
  attribution.minter = epoch.member;
  attribution.born = born;
  attribution.sealed = note.now.steady;
  if (!note.name_hash(note.sealing.ring, note.sealing.context, epoch.number,
                      attribution.name_hash)) {
    return false;
  }
  unsigned char bytes[TKT_CORE_ATTRIBUTION_SIZE];
  const std::size_t size = tkt_core_attribution_write(&attribution, bytes);
  return SSL_SESSION_set1_ticket_appdata(session, bytes, size) == 1;
}

// OpenSSL advertises what is left of the timeout and, on a TLS 1.2 renewal, would
// keep the first session's time: set both.
bool write_times(SSL_SESSION* session, std::int64_t left, tkt_core_time now) {
  return SSL_SESSION_set_time(session, now.steady) != 0 &&
         SSL_SESSION_set_timeout(session, left) == 1;
}

// A full handshake begins a lineage, a resumption carries it on. One that was
// born in the future, by a clock that ran ahead, ends none the later for it.
std::int64_t birth(const Note& note, bool resumed) {
  return resumed ? std::min(note.offer.attribution.born, note.now.steady) : note.now.steady;
}

// Chooses the epoch for seal_key, which OpenSSL calls next; none, and it sends no
// ticket.
void choose_epoch(SSL* ssl, const Attachment& attachment, Note& note, std::int64_t born) {
  tkt_core_epoch epoch;
  if (tkt_core_sealing(note.sealing.ring, note.sealing.context, note.now, &epoch) != TKT_OK) return;
  const std::int64_t left = seconds_left(attachment, epoch, born, note.now);
  SSL_SESSION* session = SSL_get_session(ssl);
  tkt_core_attribution attribution{};
  offer_early_data(ssl, attachment, epoch, attribution.table);
  if (left > 0 && write_attribution(session, note, attribution, epoch, born) &&
      write_times(session, left, note.now)) {
    note.sealing.epoch = epoch.number;
  }
}

}  // namespace

// The last line of promise 6: the ticket was opened before the servername
// callback moved the connection to where it would not have been.
bool crossed(const Note& note, const Attachment& attachment, const Context* context) {
  return context == nullptr || note.offer.ring != attachment.ring() ||
         note.offer.context != context->number || certificate_crossed(note);
}

ClientCas cas_now(const SSL* ssl, const Note& note, bool resumed) {
  const Offer& offer = note.offer;
  const bool looked_at = resumed && offer.cas.asked && SSL_get_SSL_CTX(ssl) == offer.host;
  return looked_at ? client_cas(ssl, offer.cas) : client_cas(ssl);
}

int prepare_ticket(SSL* ssl, void*) {
  Note* note = note_of(ssl);
  const Attachment* attachment = note == nullptr ? nullptr : settled(ssl, *note);
  if (attachment == nullptr) return 1;

  note->keep_if_of(ssl);
  const bool resumed = SSL_session_reused(ssl) == 1 && note->offer.opened;
  const std::array<char, 256> opened_under = note->context;
  settle_name(ssl, *note, resumed);
  const Context* context =
      resumed && note->settled != nullptr ? note->settled : attachment->context(ssl, note->name);
  remember_context(*note, context);
  note->cas = cas_now(ssl, *note, resumed);
  note->now = tkt_core_now(attachment->ring());
  note->sealing = {};
  // once: a certificate that is asked for after the handshake is one of this host's
  const bool looked = std::exchange(note->offer.looked, true);
  if (resumed && !looked && crossed(*note, *attachment, context)) {
    if (attachment->may_explain(note->now))
      explain_crossing(attachment->ring(), *note, opened_under.data());
    return 0;
  }
  if (context == nullptr) return 1;

  note->sealing = {attachment->ring(), context->number, 0};
  choose_epoch(ssl, *attachment, *note, birth(*note, resumed));
  return 1;
}

int seal_key(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac) {
  const Note* note = note_of(ssl);
  if (note == nullptr || note->sealing.ring == nullptr) return 0;
  const Sealing& sealing = note->sealing;
  const bool sealed =
      sealing.epoch != 0 && tkt_core_seal(sealing.ring, sealing.context, sealing.epoch, key_name,
                                          iv, cipher, mac) == TKT_OK;
  tkt_core_count(sealing.ring, sealed ? TKT_COUNT_SEALED : TKT_COUNT_NOT_SEALED);
  return sealed ? 1 : 0;
}

}  // namespace ticket::openssl
