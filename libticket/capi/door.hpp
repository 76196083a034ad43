// What every function of the C door does alike: catch, and copy structs whose
// size tells their version. Only capi/ catches.
#pragma once

#include <ticket/ticket.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "base/checked.hpp"
#include "redeem/outcome.hpp"

namespace ticket::capi {

// Runs body, which returns a tkt_status, and turns what it throws into one.
// `report` hears what an exception had to say.
template <class Body, class Report>
tkt_status guarded(Report report, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return TKT_OUT_OF_MEMORY;
  } catch (const std::exception& failure) {
    report(failure.what());
    return TKT_INTERNAL;
  } catch (...) {
    return TKT_INTERNAL;
  }
}

// A rejection that a ticket can meet, as the door calls it.
tkt_status status_of(Rejection why) noexcept;

tkt_status status_of(redeem::Outcome outcome) noexcept;

// Takes in an option struct of another release: an older caller's is shorter, so
// the rest keeps its defaults; a newer one's is longer, which is fine while what
// we do not know is zero. False when it is not, or when the size cannot be one.
template <class Options>
bool take_options(const Options* from, Options* to) noexcept {
  if (from == nullptr || from->size < sizeof(std::size_t)) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  const bool known =
      from->size <= sizeof(Options) || std::all_of(bytes + sizeof(Options), bytes + from->size,
                                                   [](unsigned char byte) { return byte == 0; });
  if (known) std::memcpy(to, from, std::min(from->size, sizeof(Options)));
  return known;
}

// Hands out as much of a result as the caller's release knows.
template <class Result>
tkt_status give_result(const Result& from, Result* to) noexcept {
  const std::size_t size = to->size;
  std::memcpy(to, &from, std::min(size, sizeof(Result)));
  to->size = size;
  return TKT_OK;
}

template <class Result>
bool can_take(const Result* to) noexcept {
  return to != nullptr && to->size >= sizeof(std::size_t);
}

}  // namespace ticket::capi
