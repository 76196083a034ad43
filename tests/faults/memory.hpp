// Where secrets are: in the memory of processes, and in files.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace faults {

// Named byte strings to look for, of 16 bytes or more.
using Needles = std::map<std::string, std::string>;
// "NAME in WHERE", sorted.
using Hits = std::vector<std::string>;

// In every readable mapping of a process (/proc/PID/mem), whatever it is advised
// to leave out of core dumps. Needs root.
Hits find_in_memory(pid_t pid, const Needles& needles);
// In every regular file below a folder.
Hits find_in_files(const std::filesystem::path& folder, const Needles& needles);
// Raw, and as hex, base64 and base64url write it, from its beginning.
Hits find_in_text(const std::string& text, const Needles& needles, const std::string& where);

}  // namespace faults
