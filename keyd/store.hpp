// Where the keeper's sealed state lies. Asynchronous, because a store may be on
// the far side of the front (Redis); each calls back exactly once, perhaps
// before it returns.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.hpp"

namespace keyd {

class StateStore {
 public:
  virtual ~StateStore() = default;

  struct Loaded {
    std::optional<ticket::Bytes> blob;  // nullopt: nothing was ever stored
    std::string problem;                // not empty: it could not be read
    // The counter that was stored last here, by a note beside the state. Where
    // it is above the state's own, that is an older copy; nullopt: no note.
    std::optional<std::uint64_t> newest;
  };
  virtual void load(std::function<void(Loaded)> done) = 0;

  // Replaces the state numbered `expected` (0 = none yet) as a whole, durably,
  // or leaves it as it is. `done` gets the problem, empty when it is stored.
  using Stored = std::function<void(const std::string& problem)>;
  virtual void store(std::uint64_t expected, ticket::Bytes blob, Stored done) = 0;
};

}  // namespace keyd
