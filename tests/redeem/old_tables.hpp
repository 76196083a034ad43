// Tables that were made in time, though a test makes them now.
#pragma once

#include <filesystem>

#include "base/clock.hpp"
#include "wire/token_block.hpp"

namespace samples {

// As if the host's agent had made what is missing at that moment, hours of boot time ago:
// else a table finds out that a test's clock moved, or its epoch began, after it was made.
void make_old_tables(const ticket::wire::TokenBlock& block, const std::filesystem::path& folder,
                     ticket::Moment made);

// As if those that are there had been made a day of boot time ago.
void age_tables(const ticket::wire::TokenBlock& block, const std::filesystem::path& folder);

}  // namespace samples
