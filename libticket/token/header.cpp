#include "token/header.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace ticket::token {

namespace {

constexpr std::string_view scheme = "PrivateToken";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

// tchar, RFC 9110, section 5.6.2.
constexpr auto token_chars = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();
bool is_token_char(char c) { return token_chars[static_cast<unsigned char>(c)]; }

// What may stand in a value without quotes: a token, or base64 with its padding.
bool is_bare_char(char c) { return is_token_char(c) || c == '/' || c == '='; }

bool is_space(char c) { return c == ' ' || c == '\t'; }

// A parameter's value as it stands in the field, without its quotes.
struct Value {
  std::string_view raw;
  bool escaped = false;  // has backslashes that escape what follows them

  std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (escaped && raw[i] == '\\') ++i;  // never the last: the quote after it would be escaped
      text += raw[i];
    }
    return text;
  }
};

// Reads a value from its front.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  void skip_space() { take_while(is_space); }
  // Whether `c` was next; it is passed then.
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view take_while(bool (*belongs)(char)) {
    const auto end = std::ranges::find_if_not(rest_, belongs);
    const auto taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // name BWS "=" BWS: nothing is taken when that is not what comes.
  std::optional<std::string_view> parameter_name() {
    Lexer ahead = *this;
    const auto name = ahead.take_while(is_token_char);
    ahead.skip_space();
    if (name.empty() || !ahead.skip('=')) return std::nullopt;
    ahead.skip_space();
    // "abc==" is a token68, not a parameter
    if (ahead.rest_.empty() || ahead.rest_[0] == ',' || ahead.rest_[0] == '=') return std::nullopt;
    *this = ahead;
    return name;
  }
  [[nodiscard]] Checked<Value> value() {
    if (skip('"')) return quoted();
    const auto bare = take_while(is_bare_char);
    if (bare.empty()) return reject(Rejection::malformed);
    return Value{bare, false};
  }

 private:
  // quoted-string, RFC 9110, section 5.6.4, after its first quote.
  Checked<Value> quoted() {
    bool escaped = false;
    std::size_t at = 0;
    auto quote = rest_.find('"');
    while (quote != std::string_view::npos) {
      const auto backslash = rest_.substr(at, quote - at).find('\\');
      if (backslash == std::string_view::npos) {
        const auto raw = rest_.substr(0, quote);
        rest_.remove_prefix(quote + 1);
        return Value{raw, escaped};
      }
      escaped = true;
      at += backslash + 2;  // and what it escapes, be it that quote
      if (at > quote) quote = rest_.find('"', at);
    }
    return reject(Rejection::malformed);
  }

  std::string_view rest_;
};

struct Parameter {
  std::string_view name;
  Value value;
};

// A scheme with what follows it up to the next scheme.
struct Entry {
  std::string_view scheme;
  std::vector<Parameter> parameters;
};

// Whatever ends an element: a comma, or the end.
Checked<bool> end_of_element(Lexer& lexer) {
  lexer.skip_space();
  if (!lexer.done() && !lexer.skip(',')) return reject(Rejection::malformed);
  return true;
}

Checked<Parameter> parameter(Lexer& lexer, std::string_view name) {
  return Parameter{name, TRY(lexer.value())};
}

// scheme [ 1*SP ( token68 / first parameter ) ]
Checked<Entry> begin_entry(Lexer& lexer) {
  Entry entry;
  entry.scheme = lexer.take_while(is_token_char);
  if (entry.scheme.empty()) return reject(Rejection::malformed);
  lexer.skip_space();
  if (const auto name = lexer.parameter_name()) {
    entry.parameters.push_back(TRY(parameter(lexer, *name)));
  } else {
    lexer.take_while(is_bare_char);  // a token68 of another scheme
  }
  return entry;
}

Checked<std::vector<Entry>> parse_entries(std::string_view value) {
  std::vector<Entry> entries;
  for (Lexer lexer(value);;) {
    lexer.skip_space();
    if (lexer.done()) return entries;
    if (lexer.skip(',')) continue;  // empty elements are allowed
    if (const auto name = lexer.parameter_name()) {
      if (entries.empty()) return reject(Rejection::malformed);
      entries.back().parameters.push_back(TRY(parameter(lexer, *name)));
    } else {
      entries.push_back(TRY(begin_entry(lexer)));
    }
    TRY(end_of_element(lexer));
  }
}

// The one parameter of that name; nullptr for none, malformed for two.
Checked<const Value*> find(const Entry& entry, std::string_view name) {
  const Value* found = nullptr;
  for (const auto& parameter : entry.parameters) {
    if (!same_word(parameter.name, name)) continue;
    if (found != nullptr) return reject(Rejection::malformed);
    found = &parameter.value;
  }
  return found;
}

Checked<Bytes> decode(const Value& value) {
  auto bytes =
      value.escaped ? from_base64url_padded(value.text()) : from_base64url_padded(value.raw);
  if (!bytes || bytes->empty()) return reject(Rejection::malformed);
  return std::move(*bytes);
}

Checked<seconds> parse_seconds(const Value& from) {
  const auto text = from.text();
  std::uint32_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return reject(Rejection::malformed);
  return seconds(value);
}

Checked<HeaderChallenge> to_challenge(const Entry& entry) {
  HeaderChallenge out;
  const auto* challenge = TRY(find(entry, "challenge"));
  if (challenge == nullptr) return reject(Rejection::malformed);
  out.challenge = TRY(decode(*challenge));
  if (const auto* key = TRY(find(entry, "token-key"))) out.token_key = TRY(decode(*key));
  if (const auto* age = TRY(find(entry, "max-age"))) out.max_age = TRY(parse_seconds(*age));
  return out;
}

}  // namespace

std::string write_authenticate(const std::vector<HeaderChallenge>& challenges) {
  std::string value;
  for (const auto& c : challenges) {
    if (!value.empty()) value += ", ";
    value += std::string(scheme) + " challenge=\"" + base64url_padded(c.challenge) + "\"";
    if (!c.token_key.empty()) value += ", token-key=\"" + base64url_padded(c.token_key) + "\"";
    if (c.max_age) value += ", max-age=\"" + std::to_string(c.max_age->count()) + "\"";
  }
  return value;
}

Checked<std::vector<HeaderChallenge>> parse_authenticate(std::string_view value) {
  if (value.size() > max_authenticate_size) return reject(Rejection::malformed);
  const auto entries = TRY(parse_entries(value));
  std::vector<HeaderChallenge> challenges;
  for (const auto& entry : entries) {
    if (!same_word(entry.scheme, scheme)) continue;
    if (auto challenge = to_challenge(entry)) challenges.push_back(std::move(*challenge));
  }
  return challenges;
}

std::string write_authorization(BytesView token) {
  return std::string(scheme) + " token=\"" + base64url_padded(token) + "\"";
}

Checked<Bytes> parse_authorization(std::string_view value) {
  if (value.size() > max_authorization_size) return reject(Rejection::malformed);
  const auto entries = TRY(parse_entries(value));
  if (entries.size() != 1) return reject(Rejection::malformed);
  if (!same_word(entries[0].scheme, scheme)) return reject(Rejection::unsupported);
  const auto* token = TRY(find(entries[0], "token"));
  if (token == nullptr) return reject(Rejection::malformed);
  return decode(*token);
}

}  // namespace ticket::token
