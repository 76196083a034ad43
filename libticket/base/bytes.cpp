#include "base/bytes.hpp"

#include <sodium.h>

#include <algorithm>

namespace ticket {

std::string hex(BytesView bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), raw(bytes), bytes.size());
  text.pop_back();
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  if (text.empty()) return Bytes();  // libsodium takes no null pointer
  Bytes bytes(text.size() / 2);
  std::size_t length = 0;
  const char* end = nullptr;
  if (sodium_hex2bin(raw(std::span(bytes)), bytes.size(), text.data(), text.size(), nullptr,
                     &length, &end) != 0 ||
      end != text.data() + text.size() || length != bytes.size()) {
    return std::nullopt;
  }
  return bytes;
}

constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

std::string base64url(BytesView bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(text.data(), text.size(), raw(bytes), bytes.size(), variant);
  text.pop_back();
  return text;
}

std::optional<Bytes> from_base64url(std::string_view text) {
  Bytes bytes(text.size() / 4 * 3 + 3);
  std::size_t length = 0;
  const char* end = nullptr;
  if (sodium_base642bin(raw(std::span(bytes)), bytes.size(), text.data(), text.size(), nullptr,
                        &length, &end, variant) != 0 ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  bytes.resize(length);
  return bytes;
}

std::string base64url_padded(BytesView bytes) {
  auto text = base64url(bytes);
  text.resize((text.size() + 3) / 4 * 4, '=');
  return text;
}

namespace {

constexpr std::uint8_t no_digit = 0xff;

constexpr auto digits = [] {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::uint8_t, 256> table{};
  table.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

std::uint8_t digit(char c) { return digits[static_cast<unsigned char>(c)]; }

}  // namespace

std::optional<Bytes> from_base64url_padded(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const auto padding = text.ends_with("==") ? 2u : text.ends_with("=") ? 1u : 0u;
  Bytes bytes(text.size() / 4 * 3);
  unsigned bad = 0;
  auto* out = bytes.data();
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool last = at + 4 == text.size();
    // what is padding counts as zeros
    const unsigned a = digit(text[at]), b = digit(text[at + 1]);
    const unsigned c = last && padding == 2 ? 0 : digit(text[at + 2]);
    const unsigned d = last && padding >= 1 ? 0 : digit(text[at + 3]);
    bad |= (a | b | c | d) & 0xc0;
    const unsigned value = a << 18 | b << 12 | c << 6 | d;
    *out++ = static_cast<std::byte>(value >> 16);
    *out++ = static_cast<std::byte>(value >> 8);
    *out++ = static_cast<std::byte>(value);
  }
  for (auto i = 0u; i < padding; ++i) {
    if (bytes.back() != std::byte{0}) return std::nullopt;  // stray last bits
    bytes.pop_back();
  }
  if (bad != 0) return std::nullopt;
  return bytes;
}

bool all_zero(BytesView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace ticket
