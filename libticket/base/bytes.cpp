#include "base/bytes.hpp"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cstring>

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

constexpr std::uint32_t no_digit = 0xff000000;

// The value of a character at each of the four places of a group, so that a group is
// three ORs; what is no digit sets bits beyond the 24 of a group.
constexpr auto places = [] {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::array<std::uint32_t, 256>, 4> table{};
  for (std::size_t place = 0; place < 4; ++place) {
    table[place].fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
      table[place][static_cast<unsigned char>(alphabet[i])] =
          static_cast<std::uint32_t>(i << (18 - 6 * place));
    }
  }
  return table;
}();

std::uint32_t decode_group(const char* text) {
  const auto at = [&](std::size_t i) { return places[i][static_cast<unsigned char>(text[i])]; };
  return at(0) | at(1) | at(2) | at(3);
}

// Three bytes, and a fourth that the next group overwrites.
void write_group(std::uint32_t group, std::byte* out) {
  const auto bytes =
      std::endian::native == std::endian::big ? group << 8 : __builtin_bswap32(group << 8);
  std::memcpy(out, &bytes, 4);
}

}  // namespace

std::optional<Bytes> from_base64url_padded(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return Bytes();
  const auto padding = text.ends_with("==") ? 2u : text.ends_with("=") ? 1u : 0u;
  Bytes bytes(text.size() / 4 * 3 + 1);
  std::uint32_t seen = 0;
  auto* out = bytes.data();
  const auto* last = text.data() + text.size() - 4;
  for (const auto* at = text.data(); at != last; at += 4, out += 3) {
    const auto group = decode_group(at);
    write_group(group, out);
    seen |= group;
  }
  char final_group[4];
  std::copy_n(last, 4, final_group);
  std::fill_n(final_group + 4 - padding, padding, 'A');  // padding counts as zeros
  const auto group = decode_group(final_group);
  write_group(group, out);
  seen |= group;
  if ((seen & no_digit) != 0) return std::nullopt;
  bytes.pop_back();
  for (auto i = 0u; i < padding; ++i) {
    if (bytes.back() != std::byte{0}) return std::nullopt;  // stray last bits
    bytes.pop_back();
  }
  return bytes;
}

bool all_zero(BytesView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace ticket
