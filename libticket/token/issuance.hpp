// What client and issuer exchange (RFC 9578, section 6; for ristretto section 5 with
// the group's sizes, and draft-ietf-privacypass-batched-tokens for batches).
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "token/token_type.hpp"

namespace ticket::token {

// One token, or an amortized batch of 1 to 256: the media type of a request says which.
enum class Form { single, batch };

constexpr std::string_view request_media_type = "application/private-token-request";
constexpr std::string_view response_media_type = "application/private-token-response";
constexpr std::string_view batch_request_media_type =
    "application/private-token-amortized-batch-request";
constexpr std::string_view batch_response_media_type =
    "application/private-token-amortized-batch-response";

// Views into what was parsed, or of what is to be written.
struct TokenRequest {
  TokenType type = TokenType::blind_rsa;
  std::uint8_t truncated_key_id = 0;
  std::vector<BytesView> blinded;  // element_size(type) each
};

// Reject with unsupported (a type, or a batch of one that has none) or malformed.
[[nodiscard]] Checked<TokenRequest> parse_request(BytesView bytes, Form form,
                                                  const TokenTypes& types);
[[nodiscard]] Checked<Bytes> write_request(const TokenRequest& request, Form form,
                                           const TokenTypes& types);

struct TokenResponse {
  std::vector<BytesView> evaluated;  // element_size(type) each
  BytesView proof;                   // 64 bytes; empty for blind RSA
};

[[nodiscard]] Checked<TokenResponse> parse_response(BytesView bytes, TokenType type, Form form);
[[nodiscard]] Checked<Bytes> write_response(const TokenResponse& response, TokenType type,
                                            Form form);

}  // namespace ticket::token
