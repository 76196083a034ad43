#include "haproxy_cli.hpp"

#include <sodium.h>

#include <algorithm>

#include "log_line.hpp"

namespace keyd {

using ticket::BytesView;
using ticket::SecretBytes;

namespace {

constexpr auto base64_variant = sodium_base64_VARIANT_ORIGINAL;
constexpr std::string_view taken = "TLS ticket key updated!";

BytesView slot(const HaproxyKeys& keys, std::size_t index) {
  return BytesView(keys.expose()).subspan(index * haproxy_key_size, haproxy_key_size);
}

bool same(const HaproxyKeys& a, std::size_t from_a, const HaproxyKeys& b, std::size_t from_b,
          std::size_t slots) {
  return sodium_memcmp(slot(a, from_a).data(), slot(b, from_b).data(), slots * haproxy_key_size) ==
         0;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// "0.1 BASE64": a key in a slot.
std::optional<std::string_view> key_in(std::string_view line) {
  const auto space = line.find(' ');
  const auto dot = line.find('.');
  const bool begins_with_digit = !line.empty() && line[0] >= '0' && line[0] <= '9';
  if (!begins_with_digit || space == std::string_view::npos || dot > space) return std::nullopt;
  return line.substr(space + 1);
}

std::string wrong_size(std::size_t size, const std::string& reference) {
  return "it holds keys of " + std::to_string(size) + " bytes in " + reference +
         ", since the file was another when it started; ours have 80: reload HAProxy";
}

// Only what HAProxy is known to answer is repeated: another line may hold a key.
std::string complaint(const std::vector<std::string_view>& lines, const std::string& reference) {
  for (const auto line : lines) {
    if (line.find("unable to locate referenced filename") != std::string_view::npos) {
      return "it knows no key file " + reference + ": a bind line must say \"tls-ticket-keys " +
             reference + "\" (and HAProxy must have been started since)";
    }
    if (line.find("wrong size") != std::string_view::npos) return wrong_size(48, reference);
    if (line.starts_with("Permission denied")) {
      return "permission denied: its stats socket needs \"level admin\"";
    }
    if (line.starts_with("'show tls-keys'") || line.starts_with("'set ssl tls-key'")) {
      return "it answers: " + escaped(line.substr(0, 200));
    }
  }
  return "its answer is not understood (" + std::to_string(lines.size()) + " lines)";
}

}  // namespace

HaproxyKeys in_slots(const HeldKeys& held) {
  HaproxyKeys keys;
  auto to = keys.fill().begin();
  for (const auto index : haproxy_order) {
    to = std::ranges::copy(held.keys.at(index).expose(), to).out;
  }
  return keys;
}

unsigned sets_needed(const HaproxyKeys& standing, const HaproxyKeys& wanted) {
  for (unsigned sets = 0; sets < haproxy_slots; ++sets) {
    if (same(standing, sets, wanted, 0, haproxy_slots - sets)) return sets;
  }
  return haproxy_slots;
}

std::string ask_command(const std::string& reference) {
  return "show tls-keys " + reference + "\n";
}

SecretBytes set_command(const std::string& reference, const HaproxyKeys& wanted, unsigned sets) {
  const auto head = "set ssl tls-key " + reference + " ";
  const auto ask = ask_command(reference);
  const auto encoded = sodium_base64_encoded_len(haproxy_key_size, base64_variant);  // with NUL
  SecretBytes command(sets * (head.size() + encoded) + ask.size());
  auto rest = command.fill();
  for (auto index = haproxy_slots - sets; index < haproxy_slots; ++index) {
    std::ranges::copy(ticket::as_bytes(head), rest.begin());
    rest = rest.subspan(head.size());
    sodium_bin2base64(reinterpret_cast<char*>(rest.data()), encoded,
                      ticket::raw(slot(wanted, index)), haproxy_key_size, base64_variant);
    rest[encoded - 1] = std::byte(';');
    rest = rest.subspan(encoded);
  }
  std::ranges::copy(ticket::as_bytes(ask), rest.begin());
  return command;
}

tl::expected<HaproxyKeys, std::string> parse_answer(BytesView answer,
                                                    const std::string& reference) {
  const auto lines = lines_of(ticket::as_text(answer));
  HaproxyKeys keys;
  std::size_t found = 0;
  for (const auto line : lines) {
    const auto text = key_in(line);
    if (!text) continue;
    SecretBytes key(haproxy_key_size);
    std::size_t size = 0;
    const bool decoded =
        sodium_base642bin(ticket::raw(key.fill()), key.size(), text->data(), text->size(), nullptr,
                          &size, nullptr, base64_variant) == 0;
    if (decoded && size != haproxy_key_size) return tl::unexpected(wrong_size(size, reference));
    if (!decoded || found == haproxy_slots) return tl::unexpected(complaint(lines, reference));
    std::ranges::copy(key.expose(), keys.fill().subspan(found++ * haproxy_key_size).begin());
  }
  if (found != haproxy_slots) return tl::unexpected(complaint(lines, reference));
  return keys;
}

unsigned sets_taken(BytesView answer) {
  const auto lines = lines_of(ticket::as_text(answer));
  return static_cast<unsigned>(std::ranges::count(lines, taken));
}

}  // namespace keyd
