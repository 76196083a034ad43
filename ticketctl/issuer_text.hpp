// The issuers of keyd's pools as people read them.
#pragma once

#include "issuer_answer.hpp"

namespace ticketctl {

// For each pool a heading, its epochs with their keys, and their time line.
std::vector<std::string> issuer_lines(const Issuers& issuers, const Terminal& terminal);

}  // namespace ticketctl
