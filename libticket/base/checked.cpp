#include "base/checked.hpp"

namespace ticket {

const char* to_text(Rejection rejection) {
  switch (rejection) {
    case Rejection::malformed:
      return "malformed";
    case Rejection::unknown_key:
      return "unknown_key";
    case Rejection::context:
      return "context";
    case Rejection::expired:
      return "expired";
    case Rejection::forged:
      return "forged";
    case Rejection::lineage:
      return "lineage";
    case Rejection::revoked:
      return "revoked";
    case Rejection::name:
      return "name";
    case Rejection::other_pool:
      return "other_pool";
    case Rejection::rollback:
      return "rollback";
    case Rejection::equivocation:
      return "equivocation";
    case Rejection::not_a_member:
      return "not_a_member";
    case Rejection::bad_key:
      return "bad_key";
    case Rejection::no_key:
      return "no_key";
    case Rejection::unsupported:
      return "unsupported";
    case Rejection::audience:
      return "audience";
  }
  return "unknown rejection";
}

}  // namespace ticket
