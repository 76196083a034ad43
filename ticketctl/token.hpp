// The commands of ticketctl token, and what they share.
#pragma once

#include "http_client.hpp"

namespace ticketctl {

struct CommandLine;

int get_tokens(int argc, const char* const* argv);
int inspect_token(int argc, const char* const* argv);
int redeem_token(int argc, const char* const* argv);

// --ca and --connect-to, given to `http_options`.
void add_http_options(CommandLine& line);
HttpOptions http_options(const CommandLine& line);

}  // namespace ticketctl
