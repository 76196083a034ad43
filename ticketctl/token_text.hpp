// Tokens, challenges and their types as people type and read them.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "command.hpp"
#include "token/challenge.hpp"

namespace ticketctl {

// "blind-rsa", "ristretto".
const char* type_name(ticket::token::TokenType type);

// --type and --ristretto-type: which types are spoken, and the one that is wanted.
struct TypeChoice {
  ticket::token::TokenTypes spoken;
  ticket::token::TokenType wanted = ticket::token::TokenType::blind_rsa;
};
void add_type_options(CommandLine& line);
// Throw CommandError (usage).
TypeChoice type_choice(const CommandLine& line);
ticket::token::TokenTypes both_types(const CommandLine& line);  // by --ristretto-type, else 5

// A token as it comes: the header's line or its value, base64url with padding or without,
// or its bytes. The error says what is wrong, without the token.
tl::expected<ticket::Bytes, std::string> read_token(std::string_view text);

// A challenge in base64url. Throws CommandError (usage).
ticket::Bytes read_challenge(const std::string& text);

// A file's content, `-` is standard input; at most 64 KiB. Throws CommandError (usage).
std::string read_file(const std::string& path);
// What `-` or a path names, else the argument itself.
std::string text_or_file(const std::string& argument);

}  // namespace ticketctl
