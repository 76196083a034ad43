#include "house/include_direction.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <regex>

namespace house {
namespace {

namespace fs = std::filesystem;

// A room may include the floors below its own. Rooms on one floor do not know
// each other.
const std::map<std::string, int> floors = {
    {"base", 0},   {"crypto", 1}, {"wire", 2},   {"ring", 3},   {"seal", 4}, {"token", 4},
    {"replay", 4}, {"feed", 4},   {"client", 5}, {"redeem", 5}, {"capi", 6},
};

// The room a file belongs to: "ring", "stacks", "include", "keyd", "tests", ...
std::string room_of(const fs::path& root, const fs::path& file) {
  const auto relative = file.lexically_relative(root);
  auto part = relative.begin();
  if (*part == "libticket") ++part;
  return part->string();
}

// The file of ours that an include names; nullopt for the system's.
std::optional<fs::path> resolve(const fs::path& root, const fs::path& from, const std::string& name,
                                bool quoted) {
  std::vector<fs::path> folders = {root / "libticket", root / "libticket/include"};
  if (quoted) {
    folders.insert(folders.begin(), from.parent_path());
    folders.push_back(root);
    folders.push_back(root / "tests");
  }
  for (const auto& folder : folders)
    for (const auto* ending : {"", ".in"})  // a header that the build makes
      if (fs::exists(folder / (name + ending))) return (folder / name).lexically_normal();
  return std::nullopt;
}

// They look at every room, and nothing looks at them.
bool is_outside(const std::string& room) {
  return room == "tests" || room == "fuzz" || room == "bench";
}

// Why a file of room `from` must not include `target` of room `to`; nullopt
// when it may.
std::optional<std::string> objection(const std::string& from, const std::string& to,
                                     const fs::path& target) {
  if (from == to || is_outside(from)) return std::nullopt;
  if (is_outside(to)) return "only tests include tests";
  if (from == "include") return "the public headers stand alone";
  if (from == "examples" || from == "plugins")
    return to == "include" ? std::nullopt : std::optional("only <ticket/*.h> is for " + from);
  if (from == "stacks") {
    const bool door = to == "capi" && target.filename() == "core.h";
    return door || to == "include" ? std::nullopt
                                   : std::optional<std::string>("stacks see capi/core.h alone");
  }
  if (from == "keyd" || from == "ticketctl")
    return floors.contains(to) && to != "capi"
               ? std::nullopt
               : std::optional<std::string>("keyd and ticketctl use the rooms directly");
  if (to == "include")
    return from == "capi" ? std::nullopt : std::optional<std::string>("only capi knows the doors");
  if (!floors.contains(from) || !floors.contains(to)) return "not a floor of the house";
  if (floors.at(to) == floors.at(from)) return "sideways";
  if (floors.at(to) > floors.at(from)) return "up";
  return std::nullopt;
}

void check_file(const fs::path& root, const fs::path& file, std::vector<std::string>& wrong) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::ifstream lines(file);
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_search(line, match, include)) continue;
    const bool quoted = match[1] == "\"";
    const auto target = resolve(root, file, match[2], quoted);
    std::optional<std::string> why;
    if (target)
      why = objection(room_of(root, file), room_of(root, *target), *target);
    else if (quoted && !is_outside(room_of(root, file)))
      why = "no such file";
    if (why)
      wrong.push_back(file.lexically_relative(root).string() + " includes " + match[2].str() +
                      ": " + *why);
  }
}

}  // namespace

std::vector<fs::path> sources(const fs::path& root) {
  static const std::array folders = {"libticket", "keyd",  "ticketctl", "plugins",
                                     "examples",  "tests", "fuzz",      "bench"};
  static const std::array endings = {".h", ".hpp", ".c", ".cpp"};
  std::vector<fs::path> found;
  for (const auto* folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (std::ranges::find(endings, entry.path().extension()) != endings.end())
        found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> wrong_includes(const fs::path& root) {
  std::vector<std::string> wrong;
  for (const auto& file : sources(root)) check_file(root, file, wrong);
  return wrong;
}

}  // namespace house
