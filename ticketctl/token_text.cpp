#include "token_text.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "text.hpp"
#include "token/header.hpp"

namespace ticketctl {

using namespace ticket;
using token::TokenType;
using token::TokenTypes;

const char* type_name(TokenType type) {
  return type == TokenType::blind_rsa ? "blind-rsa" : "ristretto";
}

void add_type_options(CommandLine& line) {
  line.add()("type", "blind-rsa (the default) or ristretto", cxxopts::value<std::string>(), "TYPE")(
      "ristretto-type", "The code point of ristretto, a draft's that may change (default: 5)",
      cxxopts::value<std::string>(), "N");
}

TypeChoice type_choice(const CommandLine& line) {
  const auto type = line.has("type") ? line.text("type") : "blind-rsa";
  if (type == "blind-rsa") {
    if (line.has("ristretto-type")) throw bad_input("--ristretto-type is for --type ristretto");
    return {};
  }
  if (type != "ristretto") throw bad_input("--type takes blind-rsa or ristretto, not " + type);
  return {both_types(line), TokenType::ristretto};
}

TokenTypes both_types(const CommandLine& line) {
  if (!line.has("ristretto-type")) return TokenTypes(TokenTypes::ristretto_draft_code);
  const auto text = line.text("ristretto-type");
  std::uint16_t code = 0;
  const auto* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, code);
  if (error != std::errc() || parsed_to != end || code == 0 || code == TokenTypes::blind_rsa_code) {
    throw bad_input("--ristretto-type takes a number from 1 to 65535 other than 2, not " + text);
  }
  return TokenTypes(code);
}

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr auto blank = " \t\r\n";
  const auto from = text.find_first_not_of(blank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(blank) - from + 1);
}

// Whether `text` starts with that word, whatever the case.
bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::ranges::equal(text.substr(0, word.size()), word, [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
         });
}

std::optional<Bytes> from_either_base64url(std::string_view text) {
  if (auto bytes = from_base64url_padded(text)) return bytes;
  return from_base64url(text);
}

// The bytes of a token by themselves: no text begins with a zero byte.
bool is_token_in_binary(std::string_view text) {
  return text.size() > wire::token_input_size && text[0] == '\0';
}

}  // namespace

tl::expected<Bytes, std::string> read_token(std::string_view text) {
  if (is_token_in_binary(text)) return to_bytes(as_bytes(text));
  text = trimmed(text);
  constexpr std::string_view name = "authorization:";
  if (starts_with_word(text, name)) text = trimmed(text.substr(name.size()));
  if (text.find('\n') != std::string_view::npos) {
    return tl::unexpected(std::string("more than one line: take one token at a time"));
  }
  if (starts_with_word(text, "privatetoken")) {
    auto token = token::parse_authorization(text);
    if (!token) return tl::unexpected(std::string("no Authorization with a token in base64url"));
    return *std::move(token);
  }
  auto bytes = from_either_base64url(text);
  if (!bytes || bytes->empty()) {
    return tl::unexpected(std::string("neither a PrivateToken header nor base64url"));
  }
  return *std::move(bytes);
}

Bytes read_challenge(const std::string& text) {
  auto bytes = from_either_base64url(trimmed(text));
  if (!bytes || bytes->empty()) {
    throw bad_input("--challenge takes what stands in `challenge=` of a 401, in base64url");
  }
  return *std::move(bytes);
}

namespace {

std::string read_stream(std::istream& in, const std::string& name) {
  constexpr std::size_t most = 64 << 10;
  std::string text(most + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most) throw bad_input(name + ": larger than 64 KiB, which is too much");
  return text;
}

}  // namespace

std::string read_file(const std::string& path) {
  if (path == "-") return read_stream(std::cin, "standard input");
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw bad_input(path + ": a folder");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw bad_input(path + ": cannot be read: " + std::strerror(errno));
  return read_stream(in, path);
}

std::string text_or_file(const std::string& argument) {
  std::error_code error;
  if (argument == "-" || (argument.size() < 4096 && std::filesystem::exists(argument, error))) {
    return read_file(argument);
  }
  if (argument.find('/') != std::string::npos && argument.find('=') == std::string::npos) {
    throw bad_input(printable(argument) + ": no such file");
  }
  return argument;
}

}  // namespace ticketctl
