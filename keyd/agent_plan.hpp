// What a pool's agent asks keyd next, as a pure function of where it stands.
#pragma once

#include <cstdint>
#include <variant>

#include "base/clock.hpp"

namespace keyd {

struct Standing {
  // keyd holds no wrap that we could open: nothing works before an enrolment.
  bool must_enrol = false;
  // The current bundle is wanted, though its generation may be the applied one:
  // we have none, or hold a sealing key that no bundle has been opened with.
  bool must_fetch = false;
  bool bundle_in_hand = false;   // it waits for its wrap
  std::uint64_t applied = 0;     // generation of the ring, 0 = no ring
  ticket::sys_seconds renew_at;  // when the sealing key should be renewed
};

struct AskEnrol {
  bool operator==(const AskEnrol&) const = default;
};
struct AskBundle {
  std::uint64_t after = 0;  // generation
  std::uint64_t applied = 0;
  ticket::seconds wait{0};  // how long keyd may hold the answer back
  bool operator==(const AskBundle&) const = default;
};
struct AskWrap {
  bool operator==(const AskWrap&) const = default;
};
using Step = std::variant<AskEnrol, AskBundle, AskWrap>;

// A long poll lasts this long, or until the sealing key is to be renewed.
constexpr ticket::seconds long_poll{60};

Step plan(const Standing& standing, ticket::Moment now);

}  // namespace keyd
