// The only code that indexes bytes from outside. Integers are big-endian.
#pragma once

#include <bit>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checked.hpp"
#include "base/clock.hpp"

namespace ticket::wire {

// To big-endian from the machine's order, or back.
template <class T>
constexpr T big_endian(T value) {
  static_assert(std::endian::native == std::endian::little ||
                std::endian::native == std::endian::big);
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  } else {
    return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
  }
}

// Reads from the front of a view. Every read is checked.
class Cursor {
 public:
  explicit Cursor(BytesView bytes) : rest_(bytes) {}

  std::size_t remaining() const { return rest_.size(); }

  [[nodiscard]] Checked<BytesView> take(std::size_t size) {
    if (size > rest_.size()) return reject(Rejection::malformed);
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  template <std::size_t N>
  [[nodiscard]] Checked<ByteArray<N>> array() {
    return to_array(TRY(take(N)).template first<N>());
  }

  // An unsigned integer of sizeof(T) bytes.
  template <class T>
  [[nodiscard]] Checked<T> integer() {
    T value = 0;
    std::memcpy(&value, TRY(take(sizeof(T))).data(), sizeof(T));
    return big_endian(value);
  }

  // Unix seconds in u64, below 2^40 (the year 36812): sums of two do not overflow.
  [[nodiscard]] Checked<sys_seconds> time() {
    const auto value = TRY(integer<std::uint64_t>());
    if (value >> 40 != 0) return reject(Rejection::malformed);
    return sys_seconds(seconds(value));
  }

  // u8 length | bytes.
  [[nodiscard]] Checked<BytesView> short_field() { return take(TRY(integer<std::uint8_t>())); }
  // u32 length | bytes.
  [[nodiscard]] Checked<BytesView> long_field() { return take(TRY(integer<std::uint32_t>())); }

  // A variable-length integer (RFC 9000, section 16) in its shortest form, so that a
  // value has one encoding.
  [[nodiscard]] Checked<std::uint64_t> varint();

  [[nodiscard]] Checked<bool> end() const {
    if (!rest_.empty()) return reject(Rejection::malformed);
    return true;
  }

 private:
  BytesView rest_;
};

// Writes into a buffer that the caller sized: so that secrets go straight to
// where they live. Throws std::length_error when the buffer is too small.
class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  Writer& bytes(BytesView bytes) {
    if (bytes.size() > out_.size() - written_) too_small();
    if (!bytes.empty()) std::memcpy(out_.data() + written_, bytes.data(), bytes.size());
    written_ += bytes.size();
    return *this;
  }
  template <class T>
  Writer& integer(T value) {
    const T encoded = big_endian(value);
    return bytes(std::as_bytes(std::span(&encoded, 1)));
  }
  Writer& time(sys_seconds time) {
    return integer(static_cast<std::uint64_t>(time.time_since_epoch().count()));
  }
  Writer& short_field(BytesView bytes);  // at most 255 bytes
  Writer& long_field(BytesView bytes);

  // RFC 9000, section 16, in the shortest form; below 2^62.
  Writer& varint(std::uint64_t value);
  static std::size_t varint_size(std::uint64_t value);

  std::size_t written() const { return written_; }

 private:
  [[noreturn]] static void too_small();

  std::span<std::byte> out_;
  std::size_t written_ = 0;
};

}  // namespace ticket::wire
