// From one generation of a pool's keys to the next.
#pragma once

#include <optional>

#include "ring/ring.hpp"

namespace ticket::ring {

// max(last + 1, Unix milliseconds): whoever starts from an old copy reuses none.
std::uint64_t next_generation(std::uint64_t last, Moment now);

// The secrets for `epochs`: those of `before` carried over by number, new ones
// drawn, and ids for the new epochs; those of burned epochs are zero, the rest is left
// behind and so wiped. `secrets` has 32 bytes an epoch of `before`.
SecretBytes carry_over(const std::vector<Epoch>& before, const SecretBytes& secrets,
                       std::vector<Epoch>& epochs);

// Where no operator is asked: how far a clock that was set ahead is not followed. Less than
// usual of short keys, so that none ends by it.
seconds tolerance_alone(const Policy& policy);

// A pool without members beside this host: what follows `ring` at `now` under
// `policy` (rotation.hpp), nullopt when nothing changes. An empty ring, of a pool's
// name alone, is followed by the first. `next` becomes the time to ask again.
std::optional<Ring> next_ring(const Ring& ring, const Policy& policy, Moment now,
                              sys_seconds& next);

}  // namespace ticket::ring
