// The file of an issuer's bearer secrets: a line each, "NAME SHA256-HEX"; empty lines
// and those that begin with '#' are passed over. Only hashes stand in it; since a hash
// of something short is guessed, the secrets are random.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "messages.hpp"

namespace keyd {

constexpr std::size_t most_attest_secrets = 10'000;
constexpr auto attest_secret_rule = "a line each: NAME and the SHA-256 of the secret, in hex";

struct AttestSecretsProblem {
  int line = 1;
  std::string text;
};

// As they stand in the file, hashes in lower case.
tl::expected<std::vector<AttestedSecret>, AttestSecretsProblem> parse_attest_secrets(
    std::string_view text);

}  // namespace keyd
