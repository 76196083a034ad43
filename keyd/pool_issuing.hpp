// What the keeper knows of a pool's tokens beside its state: what issues at the moment,
// what the front has told.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "messages.hpp"
#include "token/issuer.hpp"

namespace keyd {

struct PoolIssuing {
  using Numbers = std::set<std::uint32_t>;

  // Sentinels that were made, records that are gone: not stored yet.
  Numbers sentinels, lost;
  std::map<std::uint32_t, ticket::sys_seconds> asked;  // when for an epoch's sentinel
  Numbers over;                                        // ended, and the front was told
  std::string sentinel_problem;                        // of the last that was not made
  bool wants_keys = false;                             // an epoch is due, and there is no key

  Numbers epochs;  // whose keys are in the issuer
  std::optional<ticket::token::Issuer> issuer;
  std::array<std::uint64_t, 2> issued{};  // tokens, by TokenType
  std::uint64_t records_lost = 0;
  std::optional<Directory> directory;  // as told last

  // Another configuration, or a front that has heard of nothing.
  void begin_anew() {
    asked.clear();
    over.clear();
    directory.reset();
    issuer.reset();
  }
};

}  // namespace keyd
