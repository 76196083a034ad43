// The rule of the house: an include points down, never up or sideways.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace house {

// One line for each include that breaks the rule: "FILE includes \"X\": why".
std::vector<std::string> wrong_includes(const std::filesystem::path& source_root);

// The C++ and C files of the project, without what was built.
std::vector<std::filesystem::path> sources(const std::filesystem::path& source_root);

}  // namespace house
