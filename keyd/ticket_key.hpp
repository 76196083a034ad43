// A pool's ticket keys for servers that hold a few of them and know nothing of
// epochs: which keys they should hold, and the bytes that they read.
#pragma once

#include <string>
#include <vector>

#include "ring/ring.hpp"

namespace keyd {

// The bytes are in wire/layout.hpp, "Ticket key files".
enum class KeyLayout { nginx, haproxy, short48 };

constexpr std::size_t key_name_size = 16;
constexpr std::size_t key_size(KeyLayout layout) { return layout == KeyLayout::short48 ? 48 : 80; }

// The epochs whose keys such a server should hold. They point into what was given.
struct HeldEpochs {
  const ticket::ring::Epoch* sealing = nullptr;      // none: no known key may seal
  const ticket::ring::Epoch* next = nullptr;         // the first that is announced
  std::vector<const ticket::ring::Epoch*> previous;  // that still open, newest first
};
HeldEpochs held_epochs(const std::vector<ticket::ring::Epoch>& epochs, ticket::seconds stretch,
                       ticket::Moment now);

// Exactly `slots` keys: keys[0] seals, keys[1] is the next to seal, the others
// sealed before, newest first. A slot for which the ring has no key holds the
// sealing key again: such a server wants every slot filled, and a known key
// twice adds none. When no key of the ring may seal, the one in its place is
// random: such a server cannot be told to stop sealing, and this key is nobody
// else's.
struct HeldKeys {
  std::vector<ticket::SecretBytes> keys;  // in their layout
  bool drawn = false;                     // keys[0] is random
  // Equal for equal keys, random ones aside; not secret (epoch numbers and ids).
  std::string fingerprint;
};
HeldKeys held_keys(const ticket::ring::Ring& ring, const std::string& context, KeyLayout layout,
                   std::size_t slots, ticket::Moment now);

// A key in HAProxy's order of slots: previous, seals, next.
constexpr std::size_t haproxy_slots = 3;
constexpr std::size_t haproxy_order[haproxy_slots] = {2, 0, 1};  // indices into HeldKeys::keys

// One key a line, in base64 (RFC 4648, section 4).
ticket::SecretBytes base64_lines(const std::vector<const ticket::SecretBytes*>& keys);

// What a pool's policy costs at a server that holds `slots` keys, in words for
// people; empty when it costs nothing.
std::string cost_of_feeding(const ticket::ring::Policy& policy, std::size_t slots);

}  // namespace keyd
