#include "client/key_table.hpp"

namespace ticket::client {

// The slot of a name, or the free one where it would go.
std::size_t KeyTable::place_of(const NameKey& name) const {
  auto place = home_of(name);
  while (slots_[place].value != none && slots_[place].name != name) place = next(place);
  return place;
}

void KeyTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 8 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.value != none) slots_[place_of(slot.name)] = slot;
  }
}

bool KeyTable::add(const NameKey& name, std::uint32_t value) {
  if (slots_.size() < (size_ + 1) * 2) grow();
  Slot& slot = slots_[place_of(name)];
  if (slot.value != none) return false;
  slot = {name, value};
  ++size_;
  return true;
}

std::optional<std::uint32_t> KeyTable::find(const NameKey& name) const {
  if (size_ == 0) return std::nullopt;
  const auto value = slots_[place_of(name)].value;
  return value == none ? std::nullopt : std::optional(value);
}

// Those behind the one that goes move up where they may: a search ends at the first free slot.
void KeyTable::remove(const NameKey& name) {
  if (size_ == 0) return;
  auto hole = place_of(name);
  if (slots_[hole].value == none) return;
  const auto mask = slots_.size() - 1;
  for (auto place = next(hole); slots_[place].value != none; place = next(place)) {
    const auto from_home = (place - home_of(slots_[place].name)) & mask;
    if (from_home < ((place - hole) & mask)) continue;
    slots_[hole] = slots_[place];
    hole = place;
  }
  slots_[hole] = {};
  --size_;
}

}  // namespace ticket::client
