#include "attest_secrets.hpp"

#include <set>

#include "base/bytes.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"

namespace keyd {

namespace {

constexpr auto blanks = " \t\r";

// The next word of the line, taken from it.
std::string_view word(std::string_view& line) {
  const auto begin = std::min(line.find_first_not_of(blanks), line.size());
  line.remove_prefix(begin);
  const auto found = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(found.size());
  return found;
}

// nullopt when it is none; the name is not checked.
std::optional<AttestedSecret> parse_line(std::string_view line) {
  const std::string name(word(line));
  const auto hash = ticket::from_hex(word(line));
  if (!hash || hash->size() != sizeof(ticket::crypto::Sha256) || !word(line).empty()) {
    return std::nullopt;
  }
  return AttestedSecret{name, ticket::hex(*hash)};
}

}  // namespace

tl::expected<std::vector<AttestedSecret>, AttestSecretsProblem> parse_attest_secrets(
    std::string_view text) {
  // A secret that was put in place of its hash must not stand in a log: lines are not quoted.
  const auto refuse = [](int line, std::string problem) {
    return tl::unexpected(AttestSecretsProblem{line, std::move(problem)});
  };
  std::vector<AttestedSecret> secrets;
  std::set<std::string> names, hashes;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto first = line.find_first_not_of(blanks);
    if (first == std::string_view::npos || line[first] == '#') continue;
    const auto secret = parse_line(line);
    if (!secret) return refuse(number, "not a name and 64 hex digits");
    if (!ticket::crypto::valid_name(secret->name)) return refuse(number, "its name is none");
    if (!names.insert(secret->name).second) return refuse(number, "its name stands twice");
    if (!hashes.insert(secret->sha256).second) return refuse(number, "its hash stands twice");
    if (secrets.size() == most_attest_secrets) {
      return refuse(number, "more than " + std::to_string(most_attest_secrets) + " secrets");
    }
    secrets.push_back(*secret);
  }
  if (secrets.empty()) return refuse(1, "no secret in it");
  return secrets;
}

}  // namespace keyd
