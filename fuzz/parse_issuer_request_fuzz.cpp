// What an issuer takes for a request is one of its two, by a method of its path, and asks
// for no more tokens than its body has room for. The input is split at line ends.
#include "attest_secrets.hpp"
#include "fuzz.hpp"
#include "issuer_request.hpp"
#include "token/directory.hpp"

namespace {

std::string_view line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto first = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return first;
}

}  // namespace

FUZZ_TARGET(data, size) {
  using namespace keyd::issuer;
  auto text = text_of(data, size);
  if (const auto secrets = keyd::parse_attest_secrets(text)) {
    for (const auto& secret : *secrets) holds(secret.sha256.size() == 64);
  }
  Asked asked;
  asked.method = line(text);
  asked.target = line(text);
  asked.content_type = line(text);
  asked.authorization = line(text);
  asked.if_none_match = line(text);
  asked.body = text;
  holds(bearer_of(asked.authorization).size() <
        std::max<std::size_t>(asked.authorization.size(), 1));
  holds(!names_tag(asked.if_none_match, "\"tag\"") || !asked.if_none_match.empty());
  const auto request = parse_request(asked);
  if (!request) {
    holds(request.error().status >= 400 && !request.error().text.empty());
    return 0;
  }
  const auto* tokens = std::get_if<TokensRequest>(&*request);
  holds(asked.target.find(tokens == nullptr ? ticket::token::directory_path : request_path) !=
        std::string_view::npos);
  if (tokens == nullptr) return 0;
  const auto count = count_tokens(asked.body, tokens->form, ticket::token::TokenTypes(0x0005));
  holds(!count || (*count > 0 && *count * 32 < asked.body.size()));
  return 0;
}
