// What stands in a folder that `ticketctl init` made, as `member add` needs it.
#pragma once

#include <filesystem>
#include <string>

#include "certificate_authority.hpp"

namespace ticketctl {

struct PoolFolder {
  Identity authority;
  std::string authority_pem;  // ca.pem as it is
  std::string authority_key;  // authority.pub: 43 characters
  std::string listen;         // the first of keyd.toml
};

// Throws CommandError (bad input) naming the file, what is wrong and the way
// out: a file is missing or does not parse, ca.pem and `ca_key` do not belong
// together, the CA has ended, keyd.toml has no such pool or it takes another
// CA's members.
PoolFolder read_pool_folder(const std::filesystem::path& folder, const std::string& pool,
                            const std::filesystem::path& ca_key, ticket::sys_seconds now);

}  // namespace ticketctl
