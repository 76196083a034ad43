// Names as tables know them: by 128 bits in place of the text, computed once. Of a hundred
// thousand texts in no order, each that is looked at costs more than all the arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ticket::client {

// Equal for equal texts, and for no others: SipHash-2-4 under a key that is drawn for this
// process, so that nobody can look for two names that meet.
struct NameKey {
  std::uint64_t high = 0, low = 0;
  friend bool operator==(const NameKey&, const NameKey&) = default;
};

NameKey key_of(std::string_view text);

// Of two names together, in this order.
inline NameKey joined(const NameKey& a, const NameKey& b) {
  return {a.high ^ (b.high << 32 | b.high >> 32), a.low ^ (b.low << 32 | b.low >> 32)};
}

// For the standard's containers.
struct NameKeyHash {
  std::size_t operator()(const NameKey& key) const { return key.low; }
};

// A text and its key.
class Name {
 public:
  Name(std::string text = {}) : text_(std::move(text)), key_(key_of(text_)) {}
  Name(const char* text) : Name(std::string(text)) {}

  const std::string& text() const { return text_; }
  const NameKey& key() const { return key_; }
  friend bool operator==(const Name& a, const Name& b) { return a.key_ == b.key_; }

 private:
  std::string text_;
  NameKey key_;
};

}  // namespace ticket::client
