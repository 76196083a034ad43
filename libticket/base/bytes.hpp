// Bytes, views of them, and the text forms in which public bytes travel: hex for
// people, base64url (RFC 4648, section 5) without padding for our JSON, with padding
// where Privacy Pass asks for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ticket {

using Bytes = std::vector<std::byte>;
using BytesView = std::span<const std::byte>;
template <std::size_t N>
using ByteArray = std::array<std::byte, N>;

inline BytesView as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// For the C interfaces of libsodium and OpenSSL: anything contiguous of bytes.
template <class Range>
auto* raw(Range&& bytes) {
  if constexpr (std::is_const_v<std::remove_reference_t<decltype(*bytes.data())>>) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  } else {
    return reinterpret_cast<unsigned char*>(bytes.data());
  }
}

inline Bytes to_bytes(BytesView view) { return {view.begin(), view.end()}; }

template <std::size_t N>
ByteArray<N> to_array(std::span<const std::byte, N> view) {
  ByteArray<N> array;
  for (std::size_t i = 0; i < N; ++i) array[i] = view[i];
  return array;
}

// Lower-case hex.
std::string hex(BytesView bytes);
std::optional<Bytes> from_hex(std::string_view text);

std::string base64url(BytesView bytes);
// nullopt for padding, characters outside the alphabet, or stray last bits.
std::optional<Bytes> from_base64url(std::string_view text);

// With padding, as RFC 9577, section 2, and RFC 9578, section 4, want it.
std::string base64url_padded(BytesView bytes);
// nullopt for missing or stray padding and for what from_base64url refuses: a value has
// one spelling. An eighth of libsodium's time, but not in constant time: no secrets.
std::optional<Bytes> from_base64url_padded(std::string_view text);

bool all_zero(BytesView bytes);

}  // namespace ticket
