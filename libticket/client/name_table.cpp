#include "client/name_table.hpp"

#include <functional>
#include <stdexcept>

namespace ticket::client {

namespace {

std::uint32_t hash_of(std::string_view name) {
  const std::uint64_t hash = std::hash<std::string_view>{}(name);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

// The slot of a name, or the free one where it would go.
std::size_t NameTable::place_of(std::string_view name, std::uint32_t hash) const {
  const auto mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (!slot.used) return at;
    const bool same = slot.hash == hash && slot.length == name.size() &&
                      std::string_view(texts_).substr(slot.text, slot.length) == name;
    if (same) return at;
  }
}

void NameTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 8 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (!slot.used) continue;
    slots_[place_of({texts_.data() + slot.text, slot.length}, slot.hash)] = slot;
  }
}

bool NameTable::add(std::string_view name, std::uint32_t value) {
  if (name.size() > 0xffff || texts_.size() > (std::size_t{1} << 30)) {
    throw std::length_error("name table");
  }
  if (slots_.size() < (size_ + 1) * 2) grow();
  const auto hash = hash_of(name);
  Slot& slot = slots_[place_of(name, hash)];
  if (slot.used) return false;
  slot = {hash, static_cast<std::uint32_t>(texts_.size()), value,
          static_cast<std::uint16_t>(name.size()), true};
  texts_ += name;
  ++size_;
  return true;
}

std::optional<std::uint32_t> NameTable::find(std::string_view name) const {
  if (size_ == 0) return std::nullopt;
  const Slot& slot = slots_[place_of(name, hash_of(name))];
  return slot.used ? std::optional(slot.value) : std::nullopt;
}

}  // namespace ticket::client
