#include "ring/policy.hpp"

#include <charconv>

#include "wire/layout.hpp"

namespace ticket::ring {

namespace {

struct Unit {
  char letter;
  seconds length;
};
constexpr Unit units[] = {{'d', 24h}, {'h', 1h}, {'m', 1min}, {'s', 1s}};

constexpr seconds longest = 365 * 24h;  // of any duration: sums stay far from overflow

std::string named(std::string_view field, seconds value, const std::string& rule) {
  return std::string(field) + " = " + to_text(value) + " " + rule;
}

}  // namespace

std::optional<std::string> problem(const Policy& policy) {
  const struct {
    const char* name;
    seconds value;
  } fields[] = {{"rotate_every", policy.rotate_every},
                {"lifetime", policy.lifetime},
                {"publish_ahead", policy.publish_ahead},
                {"lineage", policy.lineage}};
  for (const auto& field : fields) {
    if (field.value < 1s) return named(field.name, field.value, "is too short: at least 1s");
    if (field.value > longest) return named(field.name, field.value, "is too long: at most 365d");
  }
  if (policy.lifetime > 7 * 24h) {
    return named("lifetime", policy.lifetime, "is too long: at most 7d (RFC 8446, 4.6.1)");
  }
  if (policy.publish_ahead < policy.rotate_every) {
    return named("publish_ahead", policy.publish_ahead,
                 "is too short: at least rotate_every (" + to_text(policy.rotate_every) + ")");
  }
  if (policy.stretch < 0s || policy.stretch > longest) {
    return named("stretch", policy.stretch, "is out of range: 0s to 365d");
  }
  const auto epochs = (policy.publish_ahead + policy.lifetime) / policy.rotate_every + 3;
  if (epochs > static_cast<long>(wire::max_epochs)) {
    return "(publish_ahead + lifetime) / rotate_every + 3 = " + std::to_string(epochs) +
           " epochs at once; at most " + std::to_string(wire::max_epochs) +
           ": rotate less often, or shorten lifetime or publish_ahead";
  }
  return std::nullopt;
}

std::optional<seconds> parse_duration(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  long long count = 0;
  const auto* end = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data(), end, count);
  if (parsed.ec != std::errc() || parsed.ptr != end || count < 0 || count > 1'000'000'000) {
    return std::nullopt;
  }
  for (const auto& unit : units) {
    if (unit.letter == text.back()) return seconds(count * unit.length.count());
  }
  return std::nullopt;
}

std::optional<Unattributed> parse_unattributed(std::string_view text) {
  for (const auto choice : {Unattributed::accept, Unattributed::refuse}) {
    if (text == to_text(choice)) return choice;
  }
  return std::nullopt;
}

const char* to_text(Unattributed unattributed) {
  return unattributed == Unattributed::accept ? "accept" : "refuse";
}

std::string to_text(seconds duration) {
  for (const auto& unit : units) {
    if (duration.count() != 0 && duration % unit.length == 0s) {
      return std::to_string(duration / unit.length) + unit.letter;
    }
  }
  return "0s";
}

}  // namespace ticket::ring
