// The file of a Unix socket that listens: whether somebody still does, and whose it is.
#pragma once

#include <cstdint>
#include <filesystem>

namespace keyd {

// Of who ended without removing it only the name is left: it may be taken.
bool somebody_listens(const std::filesystem::path& socket);

// Which file lies there; 0 = none. Another one than when we listened is not ours to remove.
std::uint64_t number_of_file(const std::filesystem::path& path);

}  // namespace keyd
