// A value, or the reason why bytes from outside were turned away. A rejection
// is an ordinary outcome: the caller falls back to a full handshake, or keeps
// the ring that it has. Failures of the machine or of the caller throw.
#pragma once

#include <tl/expected.hpp>
#include <utility>

namespace ticket {

enum class Rejection {
  malformed,     // the bytes do not parse
  unknown_key,   // no key of the ring has this key name
  context,       // the key is known, but to another context of this ring
  expired,       // past its lifetime, its key's opens_until or its not_after
  forged,        // a tag or signature does not verify
  lineage,       // the full handshake that began it is too long ago
  revoked,       // its minter's tickets of that time were revoked
  name,          // made for another server name
  other_pool,    // a bundle of another pool
  rollback,      // an older generation than the one applied
  equivocation,  // the same generation with another manifest
  not_a_member,  // no wrap for us, or one that we cannot open
  bad_key,       // an all-zero, repeated or duplicate-named key
  no_key,        // no key may seal now
  unsupported,   // a token type that is not spoken here
  audience,      // a token for another origin, pool or epoch
};

// One English word or phrase, for logs and metrics; never NULL.
const char* to_text(Rejection rejection);

template <class T>
using Checked = tl::expected<T, Rejection>;

inline tl::unexpected<Rejection> reject(Rejection why) { return tl::unexpected<Rejection>(why); }

// What a Checked holds, moved out; may be left unused where only the check counts.
template <class T>
T unwrap(Checked<T>& checked) {
  return std::move(*checked);
}

// Unwraps a Checked, or returns its rejection from the enclosing function.
#define TRY(expression)                                   \
  __extension__({                                         \
    auto checked = (expression);                          \
    if (!checked) return tl::unexpected(checked.error()); \
    ::ticket::unwrap(checked);                            \
  })

}  // namespace ticket
