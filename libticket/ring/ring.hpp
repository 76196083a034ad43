// The keys of a pool at one moment, and what its servers must know beside them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/checked.hpp"
#include "ring/epoch.hpp"
#include "ring/policy.hpp"
#include "wire/attribution.hpp"

namespace ticket::ring {

// Tickets that `minter` sealed from `from` up to and including `until`.
struct Revocation {
  std::uint16_t minter = 0;
  sys_seconds from, until;

  bool operator==(const Revocation&) const = default;
};

// A value that nobody changes once it is built, so threads may share it.
struct Ring {
  std::string pool;
  std::uint64_t generation = 0;
  std::uint16_t member = 0;  // this host's member number: the minter of its tickets
  sys_seconds issued_at, not_after;
  Policy policy;
  std::vector<Epoch> epochs;  // oldest first
  SecretBytes secrets;        // 32 bytes an epoch, in the same order
  std::vector<Revocation> revocations;
  SecretBytes tokens;  // a token block (wire/token_block.hpp); empty: the pool has no tokens

  BytesView secret(std::size_t epoch) const { return secrets.expose().subspan(epoch * 32, 32); }

  // When the ring next changes by the clock alone.
  sys_seconds next_change(Moment now) const;
  // The same ring without the epochs that are past their opens_until or burned, and
  // without the token epochs that are over.
  Ring without_expired(Moment now) const;
  Ring without_secrets() const;

  // Why a ticket of this origin is not taken, if so: lineage (too old, or born later
  // than any clock may say) or revoked.
  std::optional<Rejection> objection(const wire::Attribution& origin, Moment now) const;
};

// bad_key when a secret is all zero or stands twice, or an id or number does.
[[nodiscard]] Checked<bool> check_keys(const Ring& ring);

}  // namespace ticket::ring
