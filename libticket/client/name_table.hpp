// Names and a number for each, found with two looks at memory: of a hundred thousand, in no
// order, each look costs more than all the arithmetic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ticket::client {

// Built once, then shared between threads. Names of at most 64 KiB, 1 GiB in all.
class NameTable {
 public:
  // False when the name is there already.
  bool add(std::string_view name, std::uint32_t value);
  std::optional<std::uint32_t> find(std::string_view name) const;
  std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint32_t hash, text, value;
    std::uint16_t length;
    bool used;
  };
  std::size_t place_of(std::string_view name, std::uint32_t hash) const;
  void grow();

  std::vector<Slot> slots_;  // open addressing; a power of two, at most half of them used
  std::string texts_;
  std::size_t size_ = 0;
};

}  // namespace ticket::client
