// The files of a configuration: none that is written is any other of them.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config.hpp"
#include "config_toml.hpp"

namespace keyd {

// Also under another name: a link, or a folder that is one; whether it is there yet or not.
bool same_file(const std::filesystem::path& one, const std::filesystem::path& other);

// What is only read may well be one file, as a key beside its certificate. Each returns who
// has the file already, and otherwise notes it for `by`.
class FilesInUse {
 public:
  std::optional<std::string> read(const std::filesystem::path& file, const std::string& by);
  std::optional<std::string> write(const std::filesystem::path& file, const std::string& by);

 private:
  struct Use {
    std::string by;
    bool written = false;
  };
  std::map<std::string, Use> uses_;  // by each name of each file
};

// Throws ConfigError, naming the field, when a file that keyd writes has another use.
void refuse_shared_files(const toml_file::Section& section, const AuthorityConfig& config);

// What [agent] and the [[pool]]s name; throws as above.
FilesInUse files_of(const toml_file::Section& root, const AgentConfig& config);

// For a section of the agent's that feeds or redeems; each throws as above. `line` is the
// field's.
void agent_reads(FilesInUse& files, const toml_file::Section& section, std::string_view key,
                 int line, const std::filesystem::path& file);
void agent_writes(FilesInUse& files, const toml_file::Section& section, std::string_view key,
                  int line, const std::filesystem::path& file);
// With a temporary file beside it (atomic_file.hpp).
void agent_replaces(FilesInUse& files, const toml_file::Section& section, std::string_view key,
                    int line, const std::filesystem::path& file);

}  // namespace keyd
