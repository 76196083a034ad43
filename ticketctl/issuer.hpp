// The commands of ticketctl issuer.
#pragma once

namespace ticketctl {

int show_issuers(int argc, const char* const* argv);
int rotate_issuer(int argc, const char* const* argv);

}  // namespace ticketctl
