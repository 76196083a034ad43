// The kinds of token, and under which code points they are spoken.
#pragma once

#include <cstdint>
#include <optional>

#include "base/checked.hpp"

namespace ticket::token {

enum class TokenType {
  blind_rsa,  // anybody with the public key can verify (RFC 9578, section 6)
  ristretto,  // VOPRF: who can verify can also issue (batched tokens, a draft)
};

// Bytes of an authenticator; of what a client sends blinded, and gets back; of a token.
std::size_t authenticator_size(TokenType type);
std::size_t element_size(TokenType type);
std::size_t token_size(TokenType type);

// Which types are spoken. The ristretto type is a draft's: its code point may change,
// so it is off until somebody names one.
class TokenTypes {
 public:
  static constexpr std::uint16_t blind_rsa_code = 0x0002;
  static constexpr std::uint16_t ristretto_draft_code = 0x0005;

  TokenTypes() = default;  // blind RSA alone
  // Throws std::invalid_argument for the other type's code point.
  explicit TokenTypes(std::uint16_t ristretto_code);

  // Rejects with unsupported.
  [[nodiscard]] Checked<TokenType> type(std::uint16_t code) const;
  [[nodiscard]] Checked<std::uint16_t> code(TokenType type) const;

 private:
  std::optional<std::uint16_t> ristretto_;
};

}  // namespace ticket::token
