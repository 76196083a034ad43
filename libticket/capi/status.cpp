// tkt_status: from a rejection, and in words.
#include "capi/door.hpp"

namespace ticket::capi {

tkt_status status_of(Rejection why) noexcept {
  switch (why) {
    case Rejection::malformed:
      return TKT_MALFORMED;
    case Rejection::unknown_key:
      return TKT_UNKNOWN_KEY;
    case Rejection::context:
      return TKT_CONTEXT;
    case Rejection::expired:
      return TKT_EXPIRED;
    case Rejection::forged:
      return TKT_FORGED;
    case Rejection::lineage:
      return TKT_LINEAGE;
    case Rejection::revoked:
      return TKT_REVOKED;
    case Rejection::name:
      return TKT_NAME;
    case Rejection::no_key:
      return TKT_NO_KEY;
    default:  // of bundles, which no ticket meets
      return TKT_INTERNAL;
  }
}

tkt_status status_of(redeem::Outcome outcome) noexcept {
  using redeem::Outcome;
  switch (outcome) {
    case Outcome::ok:
      return TKT_OK;
    case Outcome::missing:
      return TKT_MISSING;
    case Outcome::malformed:
      return TKT_MALFORMED;
    case Outcome::wrong_audience:
      return TKT_AUDIENCE;
    case Outcome::early:
      return TKT_EARLY;
    case Outcome::expired:
      return TKT_EXPIRED;
    case Outcome::unknown_key:
      return TKT_UNKNOWN_KEY;
    case Outcome::invalid:
      return TKT_FORGED;
    case Outcome::replay:
      return TKT_REPLAY;
    case Outcome::unknown:
    case Outcome::count_:
      break;
  }
  return TKT_UNKNOWN;
}

}  // namespace ticket::capi

const char* tkt_status_text(int status) {
  switch (status) {
    case TKT_OK:
      return "ok";
    case TKT_MALFORMED:
      return "malformed";
    case TKT_UNKNOWN_KEY:
      return "unknown key";
    case TKT_CONTEXT:
      return "other context";
    case TKT_EXPIRED:
      return "expired";
    case TKT_FORGED:
      return "forged";
    case TKT_LINEAGE:
      return "lineage ended";
    case TKT_REVOKED:
      return "revoked";
    case TKT_NAME:
      return "other name";
    case TKT_NO_KEY:
      return "no key may seal";
    case TKT_MISSING:
      return "missing";
    case TKT_AUDIENCE:
      return "other audience";
    case TKT_EARLY:
      return "early";
    case TKT_REPLAY:
      return "replay";
    case TKT_UNKNOWN:
      return "unknown";
    case TKT_CLAIM:
      return "to be claimed";
    case TKT_BUFFER_TOO_SMALL:
      return "buffer too small";
    case TKT_BAD_ARGUMENT:
      return "bad argument";
    case TKT_OUT_OF_MEMORY:
      return "out of memory";
    case TKT_INTERNAL:
      return "internal error";
  }
  return "no such status";
}
