#include "token/token_type.hpp"

#include <stdexcept>

#include "wire/layout.hpp"

namespace ticket::token {

std::size_t authenticator_size(TokenType type) { return type == TokenType::blind_rsa ? 256 : 64; }
std::size_t element_size(TokenType type) { return type == TokenType::blind_rsa ? 256 : 32; }
std::size_t token_size(TokenType type) { return wire::token_input_size + authenticator_size(type); }

TokenTypes::TokenTypes(std::uint16_t ristretto_code) : ristretto_(ristretto_code) {
  if (ristretto_code == blind_rsa_code) {
    throw std::invalid_argument("token type 0x0002 is blind RSA's: give ristretto another");
  }
}

Checked<TokenType> TokenTypes::type(std::uint16_t code) const {
  if (code == blind_rsa_code) return TokenType::blind_rsa;
  if (ristretto_ == code) return TokenType::ristretto;
  return reject(Rejection::unsupported);
}

Checked<std::uint16_t> TokenTypes::code(TokenType type) const {
  if (type == TokenType::blind_rsa) return blind_rsa_code;
  if (!ristretto_) return reject(Rejection::unsupported);
  return *ristretto_;
}

}  // namespace ticket::token
