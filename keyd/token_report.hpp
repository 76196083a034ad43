// What the tokens of a host look like: metrics and page.
#pragma once

#include "exposition.hpp"
#include "status_page.hpp"
#include "token_sight.hpp"

namespace keyd {

void write_token_sights(Exposition& out, const std::vector<TokenSight>& sights);
void add_token_sights(StatusPage& page, const std::vector<TokenSight>& sights);

}  // namespace keyd
