// The files of a pool's tables on one host: FOLDER/NUMBER-ID.spent, one an epoch. The
// agent makes them, everybody else finds them.
#pragma once

#include <filesystem>

#include "replay/table.hpp"
#include "wire/token_block.hpp"

namespace ticket::redeem {

std::filesystem::path table_path(const std::filesystem::path& folder,
                                 const wire::TokenBlockEpoch& epoch);

// Sees to it that the folder has a table for each epoch of the block that is not over (the
// folder itself is made, with mode 0750), and closes and removes those of other epochs; so
// a folder is one pool's. For who makes tables: when the block has changed, and about once a
// second, since somebody may remove a file. `group` -1 = as it comes. Throws
// std::system_error or std::runtime_error naming the path and the way out, of the first thing
// that went wrong; all that can be done is done first.
void make_tables(const wire::TokenBlock& block, const std::filesystem::path& folder, Moment now,
                 int group = -1);

}  // namespace ticket::redeem
