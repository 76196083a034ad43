#include "config_files.hpp"

#include <sys/stat.h>

#include <system_error>
#include <utility>
#include <vector>

#include "agent_state.hpp"

namespace keyd {

namespace {

using toml_file::Section;
using Path = std::filesystem::path;

std::string inode_of(const Path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return "";
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

// All by which a file can be known to be another one: what is not there yet has its folder,
// or the one that its folder will be in.
std::vector<std::string> names_of(const Path& file) {
  const auto folder = file.parent_path(), name = file.filename();
  std::vector<std::string> names = {file.string()};
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(folder, error);
  if (!error) names.push_back((real / name).string());
  const auto inode = inode_of(file), of_folder = inode_of(folder);
  if (!inode.empty()) names.push_back(inode);
  if (!of_folder.empty()) names.push_back(of_folder + "/" + name.string());
  return names;
}

// What keyd only reads: these may well be one file, as a key beside its certificate.
FilesInUse files_read(const AuthorityConfig& config) {
  constexpr std::string_view credential = "credential:", passphrase = "passphrase:";
  const bool phrase = config.state_key.starts_with(passphrase);
  FilesInUse files;
  const auto read = [&files](const Path& file, const std::string& by) {
    if (!file.empty()) files.read(file, by);
  };
  read(config.file.lexically_normal(), "this configuration");
  read(config.certificate, "certificate");
  read(config.key, "key");
  read(config.clients_ca, "clients_ca");
  read(config.signing_key, "signing_key");
  if (!config.state_key.starts_with(credential)) {
    read(config.state_key.substr(phrase ? passphrase.size() : 0), "state_key");
  }
  for (const auto& pool : config.pools) {
    const auto of = " of the pool " + pool.name;
    read(pool.members_ca, "members_ca" + of);
    if (!pool.tokens) continue;
    read(pool.tokens->certificate, "the issuer's certificate" + of);
    read(pool.tokens->key, "the issuer's key" + of);
    read(pool.tokens->attest_ca, "attest_ca" + of);
    read(pool.tokens->attest_secrets, "attest_secrets" + of);
    const auto& redis = pool.tokens->redis;
    if (redis && redis->port.empty()) read(redis->host, "redis" + of);
  }
  return files;
}

// `by` has it already, if anybody has.
void refuse(const Section& section, std::string_view key, int line, const Path& file,
            const std::optional<std::string>& by, const std::string& writer = "the agent") {
  if (!by) return;
  section.fail_at(line, key, file.string() + " is taken by " + *by,
                  writer + " writes there: name a file that nothing else is in");
}

Path next_copy(Path file) { return file += ".new"; }  // atomic_file.cpp

// The field and its section, which may stand there more than once.
std::string named(const Section& section, std::string_view key) {
  return std::string(key) + " of " + section.name() + " in line " +
         std::to_string(section.line(""));
}

}  // namespace

bool same_file(const Path& one, const Path& other) {
  FilesInUse files;
  files.write(one, "one");
  return files.write(other, "other").has_value();
}

std::optional<std::string> FilesInUse::read(const Path& file, const std::string& by) {
  const auto names = names_of(file);
  for (const auto& name : names) {
    const auto use = uses_.find(name);
    if (use != uses_.end() && use->second.written) return use->second.by;
  }
  for (const auto& name : names) uses_.try_emplace(name, Use{by, false});
  return std::nullopt;
}

std::optional<std::string> FilesInUse::write(const Path& file, const std::string& by) {
  const auto names = names_of(file);
  for (const auto& name : names) {
    const auto use = uses_.find(name);
    if (use != uses_.end()) return use->second.by;
  }
  for (const auto& name : names) uses_.try_emplace(name, Use{by, true});
  return std::nullopt;
}

// What keyd writes would destroy what is there: the audit log cuts off a torn line, the
// state replaces the whole file, the admin socket removes another one.
void refuse_shared_files(const Section& section, const AuthorityConfig& config) {
  auto taken = files_read(config);
  const auto take = [&](std::string_view key, const Path& file, const char* by) {
    refuse(section, key, section.line(key), file, taken.write(file, by), "keyd");
  };
  take("state", config.state, "state");
  take("state", config.state.string() + ".lock", "state for its lock");      // file_store.cpp
  take("state", config.state.string() + ".new", "state for its next copy");  // atomic_file.cpp
  take("audit", config.audit, "audit");
  take("admin", config.admin, "admin");
}

FilesInUse files_of(const Section& root, const AgentConfig& config) {
  FilesInUse files;
  files.read(config.file.lexically_normal(), "this configuration");
  files.read(config.ca, "ca");
  for (const auto& pool : config.pools) {
    files.read(pool.certificate, "certificate of the pool " + pool.name);
    files.read(pool.key, "key of the pool " + pool.name);
  }
  const int state_line = root.table("agent", "")->find("state_dir")->line;
  const auto tables = root.tables("pool");
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const auto& pool = config.pools[i];
    const auto take = [&](std::string_view key, int line, const Path& file, const char* by) {
      refuse(root, key, line, file, files.write(file, by + (" of the pool " + pool.name)));
    };
    for (const auto* name : AgentState::files) {
      const auto file = config.state_dir / pool.name / name;
      take("[agent] state_dir", state_line, file, "the state");
      take("[agent] state_dir", state_line, next_copy(file), "the state");
    }
    const int ring_line = tables[i]->find("ring")->line;
    auto counters = pool.ring;  // agent_session.cpp
    take("[[pool]] ring", ring_line, pool.ring, "ring");
    take("[[pool]] ring", ring_line, counters.replace_extension(".counters"), "the counters");
  }
  return files;
}

void agent_reads(FilesInUse& files, const Section& section, std::string_view key, int line,
                 const Path& file) {
  refuse(section, key, line, file, files.read(file, named(section, key)));
}

void agent_writes(FilesInUse& files, const Section& section, std::string_view key, int line,
                  const Path& file) {
  refuse(section, key, line, file, files.write(file, named(section, key)));
}

void agent_replaces(FilesInUse& files, const Section& section, std::string_view key, int line,
                    const Path& file) {
  const auto by = named(section, key);
  refuse(section, key, line, file, files.write(file, by));
  refuse(section, key, line, next_copy(file),
         files.write(next_copy(file), by + " for its next copy"));
}

}  // namespace keyd
