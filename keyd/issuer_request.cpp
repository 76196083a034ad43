#include "issuer_request.hpp"

#include <algorithm>

#include "token/directory.hpp"

namespace keyd::issuer {

using namespace ticket;

namespace {

tl::unexpected<Problem> refuse(int status, std::string text, std::string_view allow = {}) {
  return tl::unexpected(Problem{status, std::move(text), allow});
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  constexpr auto blanks = " \t";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Without parameters, which no media type of ours has.
std::string_view media_type(std::string_view field) {
  return trimmed(field.substr(0, field.find(';')));
}

// A target may name the server too (RFC 9112, section 3.2.2).
std::string_view path_of(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!same_word(target.substr(0, scheme.size()), scheme)) continue;
    const auto slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
    break;
  }
  return target.substr(0, target.find('?'));
}

}  // namespace

tl::expected<Request, Problem> parse_request(const Asked& asked) {
  const auto path = path_of(asked.target);
  const bool directory = path == token::directory_path;
  if (!directory && path != request_path) return refuse(404, "no such path");
  if (!asked.twice.empty()) {
    return refuse(400, "the field " + std::string(asked.twice) + " stands more than once");
  }
  if (directory) {
    if (asked.method == "GET" || asked.method == "HEAD") return DirectoryRequest{};
    return refuse(405, "the directory takes GET", "GET, HEAD");
  }
  if (asked.method != "POST") return refuse(405, "tokens are asked for by POST", "POST");
  const auto type = media_type(asked.content_type);
  if (same_word(type, token::request_media_type)) return TokensRequest{token::Form::single};
  if (same_word(type, token::batch_request_media_type)) return TokensRequest{token::Form::batch};
  return refuse(415, "the Content-Type is " + std::string(token::request_media_type) + " or " +
                         std::string(token::batch_request_media_type));
}

tl::expected<std::size_t, Problem> count_tokens(std::string_view body, token::Form form,
                                                const token::TokenTypes& types) {
  const auto request = token::parse_request(as_bytes(body), form, types);
  if (request) return request->blinded.size();
  return refuse(422, request.error() == Rejection::unsupported
                         ? "a token type that this issuer does not issue so"
                         : "no token request");
}

std::string_view bearer_of(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  authorization = trimmed(authorization);
  if (!same_word(authorization.substr(0, scheme.size()), scheme)) return {};
  const auto secret = trimmed(authorization.substr(scheme.size()));
  const bool token68 = std::ranges::all_of(secret, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/=").find(c) != std::string_view::npos;
  });
  return token68 ? secret : std::string_view();
}

bool names_tag(std::string_view if_none_match, std::string_view tag) {
  while (!if_none_match.empty()) {
    const auto comma = if_none_match.find(',');
    auto named = trimmed(if_none_match.substr(0, comma));
    if (named == "*") return true;
    if (named.starts_with("W/")) named.remove_prefix(2);  // GET compares weakly
    if (named == tag) return true;
    if (comma == std::string_view::npos) break;
    if_none_match.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace keyd::issuer
