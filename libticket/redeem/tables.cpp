#include "redeem/tables.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

namespace ticket::redeem {

namespace fs = std::filesystem;

fs::path table_path(const fs::path& folder, const wire::TokenBlockEpoch& epoch) {
  return folder / (std::to_string(epoch.number) + "-" + hex(epoch.id) + ".spent");
}

namespace {

// The epoch that a file of ours is named after; nullopt for other files, which are left
// alone.
std::optional<replay::EpochId> epoch_of(const fs::path& path) {
  const auto name = path.filename().string();
  const auto dash = name.find('-');
  if (dash == std::string::npos || dash == 0 || path.extension() != ".spent") return std::nullopt;
  if (name.find_first_not_of("0123456789") != dash) return std::nullopt;
  const auto id = from_hex(path.stem().string().substr(dash + 1));
  if (!id || id->size() != 16) return std::nullopt;
  return to_array(BytesView(*id).first<16>());
}

void make_folder(const fs::path& folder, int group) {
  if (mkdir(folder.c_str(), 0750) != 0) {
    if (errno == EEXIST) return;
    throw std::system_error(errno, std::generic_category(), "tables folder " + folder.string());
  }
  if (chown(folder.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
    throw std::system_error(errno, std::generic_category(), "tables folder " + folder.string());
  }
}

// Closed first: whoever has it mapped gets `unknown` from now on. What cannot be opened as
// a table is removed all the same.
void remove_table(const fs::path& path, const replay::EpochId& id, Moment now) {
  try {
    if (auto table = replay::Table::find(path, {id, {}}, now)) table->close();
  } catch (const std::runtime_error&) {
  }
  fs::remove(path);
}

// What goes wrong with one epoch's table is told, and stops no other one's.
template <class Action>
void attempt(std::string& problem, const Action& action) {
  try {
    action();
  } catch (const std::runtime_error& error) {  // std::system_error is one
    if (problem.empty()) problem = error.what();
  }
}

}  // namespace

void make_tables(const wire::TokenBlock& block, const fs::path& folder, Moment now, int group) {
  make_folder(folder, group);
  std::vector<replay::EpochId> living;
  for (const auto& epoch : block.epochs) {
    if (now.latest < epoch.redeems_until) living.push_back(epoch.id);
  }
  // first, for the room: a tmpfs may hold no table more than there are epochs
  std::string problem;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto id = epoch_of(entry.path());
    if (!id || std::ranges::find(living, *id) != living.end()) continue;
    attempt(problem, [&] { remove_table(entry.path(), *id, now); });
  }
  for (const auto& epoch : block.epochs) {
    const auto path = table_path(folder, epoch);
    if (now.latest >= epoch.redeems_until || fs::exists(fs::symlink_status(path))) continue;
    attempt(problem, [&] {
      replay::Table::open(path, {epoch.id, epoch.issues_from}, {epoch.capacity}, now, group);
    });
  }
  if (!problem.empty()) throw std::runtime_error(problem);
}

}  // namespace ticket::redeem
