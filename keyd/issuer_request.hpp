// What clients ask an issuer over HTTP, as values (RFC 9578, sections 4 to 6). No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>

#include "token/issuance.hpp"

namespace keyd::issuer {

constexpr std::string_view request_path = "/token-request";

// A request's line and fields as they came; empty = not there.
struct Asked {
  std::string_view method, target;
  std::string_view content_type;
  std::string_view authorization;
  std::string_view if_none_match;
  std::string_view twice;  // one of these fields that was there more than once
  std::string_view body;
};

struct DirectoryRequest {};  // by GET or HEAD
struct TokensRequest {
  ticket::token::Form form = ticket::token::Form::single;
};
using Request = std::variant<DirectoryRequest, TokensRequest>;

struct Problem {
  int status = 400;
  std::string text;
  std::string_view allow{};  // of a 405
};

// 404, 405, 415 (a media type that no token request has), 400 (a field twice). The
// body is not looked into.
tl::expected<Request, Problem> parse_request(const Asked& asked);

// How many tokens the body asks for; 422 when it does not parse or asks for a type that
// is not spoken here.
tl::expected<std::size_t, Problem> count_tokens(std::string_view body, ticket::token::Form form,
                                                const ticket::token::TokenTypes& types);

// What follows "Bearer " in the value of an Authorization field; empty when it is of
// another scheme, or no token68 (RFC 6750, section 2.1).
std::string_view bearer_of(std::string_view authorization);

// Whether an If-None-Match field names the tag; `tag` with its quotes.
bool names_tag(std::string_view if_none_match, std::string_view tag);

}  // namespace keyd::issuer
