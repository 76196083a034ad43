// A pool's epochs drawn over time, a row each, oldest first:
//
//                  08:00         now 14:20                         Sat 03:00
//                  ├─────────────────┼──────────────────────────────────────┤
//   12 opening         ┈┈┈┈┈┈██━━━━━━┿━━━━━━━━━━━━━━━━━          gone 22:00
//   13 sealing                ┈┈┈┈┈┈███━━━━━━━━━━━━━━━━━━━━     seals until 15:00
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "terminal.hpp"

namespace ticketctl {

struct DrawnEpoch {
  std::uint32_t number = 0;
  ticket::sys_seconds made, seals_from, seals_until, opens_until;
  std::string state;  // keyd's word, one of LifeWords
};

// What keyd calls the parts of an epoch's life, and how they are told.
struct LifeWords {
  const char *announced, *sealing, *opening, *burned;  // keyd's words
  const char *seals, *opens_nothing;                   // "seals 15:00", "opens nothing"
};
constexpr LifeWords ticket_words = {"announced", "sealing", "opening",
                                    "burned",    "seals",   "opens nothing"};
// An epoch of tokens issues where one of tickets seals, and redeems where that opens.
constexpr LifeWords token_words = {"announced", "issuing", "redeeming",
                                   "ended",     "issues",  "takes nothing"};

// Lines without newline, none wider than terminal.width. Bars: announced ┈ (.),
// sealing █ (#), opening ━ (=), burned × (x), now │ (|). An epoch that seals past its
// seals_until is shown as "stretched". Empty without epochs.
std::vector<std::string> draw_time_line(const std::vector<DrawnEpoch>& epochs,
                                        ticket::sys_seconds now, const Terminal& terminal,
                                        const LifeWords& words = ticket_words);

}  // namespace ticketctl
