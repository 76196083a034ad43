// What is said to HAProxy over its runtime API, and what it answers. Pure: no
// socket. A key file there is three slots: previous, seals, next.
//
//   set ssl tls-key FILE KEY    [a b c] becomes [b c KEY]: c seals now
//
// so that after a rotation one command does, and three always do, between which
// the first of them seals for some microseconds: a key of ours that still opens.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ticket_key.hpp"

namespace keyd {

constexpr std::size_t haproxy_key_size = key_size(KeyLayout::haproxy);
// Three keys in the order of the slots: 240 bytes.
using HaproxyKeys = ticket::Secret<haproxy_slots * haproxy_key_size>;
HaproxyKeys in_slots(const HeldKeys& held);

// How many of the last of `wanted` must be set for all of it to stand, 0 to 3.
unsigned sets_needed(const HaproxyKeys& standing, const HaproxyKeys& wanted);

// One line each. `reference`: the path that HAProxy knows the key file by, or
// "#" and its number. The second sets the last `sets` keys and then asks too.
std::string ask_command(const std::string& reference);
ticket::SecretBytes set_command(const std::string& reference, const HaproxyKeys& wanted,
                                unsigned sets);

// The keys in an answer, or why there are none: a text that holds no key.
tl::expected<HaproxyKeys, std::string> parse_answer(ticket::BytesView answer,
                                                    const std::string& reference);
// How many keys an answer says to have taken.
unsigned sets_taken(ticket::BytesView answer);

}  // namespace keyd
