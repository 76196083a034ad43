#include "redeem/old_tables.hpp"

#include "redeem/tables.hpp"
#include "replay/samples.hpp"

namespace samples {

void make_old_tables(const wire::TokenBlock& block, const std::filesystem::path& folder,
                     Moment made) {
  redeem::make_tables(block, folder, made);
  age_tables(block, folder);
}

void age_tables(const wire::TokenBlock& block, const std::filesystem::path& folder) {
  for (const auto& epoch : block.epochs) {
    const auto path = redeem::table_path(folder, epoch);
    if (std::filesystem::exists(path)) age(path, std::chrono::hours(24));
  }
}

}  // namespace samples
