// Early data: whether a flight is taken, once in the pool (promise 14).
//
// OpenSSL asks last of all, when it would otherwise take it: the ticket is open and its
// binder verified, the servername callback is over, and what the flight says of the
// ticket's age fits.
#include "callbacks.hpp"

namespace ticket::openssl {

namespace {

// One server is authoritative for a ticket's early data (RFC 9846, section 8): who sealed
// it. (An embedded pool has no members: there the table alone tells.)
bool of_this_host(const Offer& offer) { return offer.attribution.minter == offer.epoch.member; }

tkt_openssl_early claim(const SSL* ssl, const Offer& offer) {
  unsigned char random[SSL3_RANDOM_SIZE];
  const std::size_t size = SSL_get_client_random(ssl, random, sizeof random);
  switch (tkt_core_claim_flight(offer.ring, offer.epoch.number, offer.attribution.table, random,
                                size)) {
    case TKT_FLIGHT_FRESH:
      return TKT_EARLY_ACCEPTED;
    case TKT_FLIGHT_REPLAY:
      return TKT_EARLY_REPLAY;
    case TKT_FLIGHT_FOREIGN:
      return TKT_EARLY_FOREIGN;
    case TKT_FLIGHT_UNKNOWN:
      break;
  }
  return TKT_EARLY_FULL;
}

tkt_openssl_early judge(SSL* ssl, const Attachment& attachment, Note& note) {
  const Offer& offer = note.offer;
  if (attachment.early_data() == 0) return TKT_EARLY_NONE;
  const Context* context = attachment.context(ssl, note.name);
  note.cas = cas_now(ssl, note, offer.opened);
  // a ticket may be good for more names than one; what is sent early is not
  if (!offer.opened || !of_this_host(offer) || !note.same_hash() ||
      crossed(note, attachment, context)) {
    return TKT_EARLY_FOREIGN;
  }
  const tkt_openssl_early verdict = claim(ssl, offer);
  if (verdict == TKT_EARLY_ACCEPTED) note.settled = context;
  return verdict;
}

}  // namespace

int allow_early_data(SSL* ssl, void*) {
  Note* note = note_of(ssl);
  if (note != nullptr) note->keep_if_of(ssl);  // with another's PSK no ticket was looked at
  const Attachment* attachment = note == nullptr ? nullptr : settled(ssl, *note);
  if (attachment == nullptr) return 0;
  note->early = judge(ssl, *attachment, *note);
  return note->early == TKT_EARLY_ACCEPTED ? 1 : 0;
}

}  // namespace ticket::openssl
