// The commands under `ticketctl member`; argv[0] is the last word of the name.
#pragma once

namespace ticketctl {

int add_member(int argc, const char* const* argv);
int list_members(int argc, const char* const* argv);
int revoke_member(int argc, const char* const* argv);
int readmit_member(int argc, const char* const* argv);

}  // namespace ticketctl
