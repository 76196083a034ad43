// A number for each of many names, found with one look at memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/name.hpp"

namespace ticket::client {

// Threads may look at it together, as long as none changes it.
class KeyTable {
 public:
  // False when the name is there already. Any value but 2^32 - 1.
  bool add(const NameKey& name, std::uint32_t value);
  void remove(const NameKey& name);
  std::optional<std::uint32_t> find(const NameKey& name) const;
  std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  struct Slot {
    NameKey name;
    std::uint32_t value = none;  // that: free
  };
  std::size_t home_of(const NameKey& name) const { return name.low & (slots_.size() - 1); }
  std::size_t next(std::size_t place) const { return (place + 1) & (slots_.size() - 1); }
  std::size_t place_of(const NameKey& name) const;
  void grow();

  std::vector<Slot> slots_;  // open addressing; a power of two, at most half of them used
  std::size_t size_ = 0;
};

}  // namespace ticket::client
