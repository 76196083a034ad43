// The schedule of a pool's token keys as a pure function: which epochs there should be at
// `now`, and when to ask again. It draws no random bytes, makes no key and does no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "wire/layout.hpp"

namespace keyd {

// One period of a pool's token keys, but for what is secret:
//
//   made ──► issues_from ──────────► issues_until ─────────► redeems_until
//    announced │  issues and redeems    │    redeems only       │ ended
//
// Ended: first a generation lacks its keys; once the members have applied that one, the
// rest goes too. `number` grows by one and is never used again, nor is `id`.
struct TokenEpoch {
  std::uint32_t number = 0;
  ticket::ByteArray<16> id{};
  ticket::sys_seconds made, issues_from, issues_until, redeems_until;
  std::uint32_t capacity = 0;      // tokens: of its record, from when it is made
  std::uint64_t announced_in = 0;  // the generation that told of it first; 0 = not told yet
  std::uint64_t ended_in = 0;      // the first generation without its keys; 0 = not told yet
  ticket::sys_seconds ended_at;    // zero while it lives

  bool held = false;      // whoever records its tokens has applied it
  bool sentinel = false;  // its sentinel stands in Redis
  bool begun = false;     // it may have issued
  bool closed = false;    // it issues no more: what only issuing needs is erased
  bool ordered = false;   // made by an operator's order, to issue as soon as it can

  ticket::ByteArray<32> context{};         // redemption_context of its challenges
  ticket::ByteArray<16> sentinel_value{};  // the random part
  ticket::Bytes blind_rsa, ristretto;      // public keys; empty: none of that type, or ended

  bool ended() const { return ended_at != ticket::sys_seconds{}; }
  // Whether it issues at `now`.
  bool issues(ticket::Moment now) const;
  // Whether it had begun when it was later than `time`: a clock was set back since.
  bool began_after(ticket::sys_seconds time) const;
  // announced, issuing, redeeming or ended.
  const char* state(ticket::Moment now) const;
  bool operator==(const TokenEpoch&) const = default;
};

// In the state, in a token block.
constexpr std::size_t most_token_epochs = ticket::wire::max_token_epochs;

struct TokenPolicy {
  ticket::seconds issue_for, redeem_for, publish_ahead;
};

// What the planner is told of the world.
struct TokenOutlook {
  bool redis = false;    // an epoch begins once its sentinel stands; else once it is held
  bool holding = false;  // the clocks disagree: nothing is made, nothing is told
  bool rotate = false;   // an operator wants the next epoch to issue: made now, if none waits
  bool hasten = false;   // it is to issue as soon as it can, if no gap comes of that later
  std::size_t keys = 0;  // epochs that there are fresh keys for
  // Generations: what every member seen lately has applied (the highest number there is
  // when there is nobody to wait for), and what those have that must record tokens (with
  // a table: its one redeemer; with Redis: the members seen lately, 0 when nobody was).
  std::uint64_t applied = 0, holds = 0;
  // By number: sentinels that were made; records that are gone; epochs that must end now.
  std::set<std::uint32_t> sentinels, lost, cut;
};

struct TokenPlan {
  // As they should be from now on, oldest first; new ones come last, with `id` all zero,
  // for the caller to give them what is random and their keys. Of those missing, and in
  // those that ended, everything secret is to be erased; where `closed`, what issues.
  std::vector<TokenEpoch> epochs;
  std::uint32_t last_number = 0;
  bool changed = false;      // something must be stored
  bool publish = false;      // in a new generation
  bool wants_keys = false;   // another epoch is due
  ticket::sys_seconds next;  // ask again then at the latest
};

// Plans at `now`. `epochs` oldest first; `last_number` is the highest ever made.
TokenPlan plan_tokens(const std::vector<TokenEpoch>& epochs, std::uint32_t last_number,
                      const TokenPolicy& policy, const TokenOutlook& sight, ticket::Moment now);

// A time at which nothing will issue, as the next epoch finds no room.
struct TokenGap {
  ticket::sys_seconds from, until;
};

// The first one to come, if epochs go on to follow each other by the schedule.
std::optional<TokenGap> first_gap(const std::vector<TokenEpoch>& epochs, const TokenPolicy& policy);

// What members have this long: an epoch that could not be announced in time, and to apply
// that one has ended.
constexpr ticket::seconds token_deadline{60};
// From telling of an epoch that all hold to its first token. With a table, whose host's
// clock may be ahead: one that does not look older than its epoch lets none of it pass.
constexpr ticket::seconds token_soon{5};
constexpr ticket::seconds token_soon_with_table{30};

}  // namespace keyd
