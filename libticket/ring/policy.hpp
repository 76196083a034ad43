// How a pool's keys live.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"

namespace ticket::ring {

using namespace std::chrono_literals;

// What becomes of tickets that do not say who sealed them when: HAProxy's, and those
// of servers that know the keys from a file.
enum class Unattributed : std::uint8_t { accept, refuse };

struct Policy {
  seconds rotate_every = 1h;   // an epoch seals this long
  seconds lifetime = 12h;      // of a ticket; at most 7 days (RFC 8446, 4.6.1)
  seconds publish_ahead = 6h;  // epochs are made this long before they seal
  seconds stretch = 12h;       // the last epoch may seal this much longer when nothing newer came
  seconds lineage = 24h;       // no resumption later than this after the full handshake
  Unattributed unattributed = Unattributed::accept;

  bool operator==(const Policy&) const = default;
};

// What is wrong with a policy, naming the field and what is allowed; nullopt
// when nothing is.
std::optional<std::string> problem(const Policy& policy);

// "90s", "5m", "12h", "7d"; nullopt for anything else. And back, in the largest
// unit that divides it.
std::optional<seconds> parse_duration(std::string_view text);
std::string to_text(seconds duration);

std::optional<Unattributed> parse_unattributed(std::string_view text);
const char* to_text(Unattributed unattributed);

}  // namespace ticket::ring
