// Files that are there whole or not at all, also after a kill or a power cut.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.hpp"

namespace keyd {

// A temporary file beside `path`, fsync, rename, fsync of the folder. Throws
// std::system_error naming the path; what stood there is then untouched.
void write_atomically(const std::filesystem::path& path, ticket::BytesView content, mode_t mode);

// Moves a file over another and makes that last. Throws std::system_error.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// Overwrites a file's bytes in place, makes that last, removes it. What the
// disk's own copies are worth is the disk's affair. A missing file is fine.
void wipe_file(const std::filesystem::path& path);

// A public file whole; nullopt when it is missing, and std::system_error when
// it cannot be read or is larger than `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

}  // namespace keyd
