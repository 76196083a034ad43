#include "config_files.hpp"

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace keyd {

namespace {

struct TakenFile {
  std::filesystem::path file;
  std::string by;
};

// Also under another name: a link, or a folder that is one.
bool same_file(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::error_code none;  // what is not there is no other file
  const auto folder = one.parent_path(), others = other.parent_path();
  return one == other || std::filesystem::equivalent(one, other, none) ||
         (one.filename() == other.filename() && std::filesystem::equivalent(folder, others, none));
}

// What keyd only reads: these may well be one file, as a key beside its certificate.
std::vector<TakenFile> files_read(const AuthorityConfig& config) {
  constexpr std::string_view credential = "credential:", passphrase = "passphrase:";
  const bool phrase = config.state_key.starts_with(passphrase);
  std::vector<TakenFile> files = {{config.file.lexically_normal(), "this configuration"},
                                  {config.certificate, "certificate"},
                                  {config.key, "key"},
                                  {config.clients_ca, "clients_ca"},
                                  {config.signing_key, "signing_key"}};
  if (!config.state_key.starts_with(credential)) {
    files.push_back({config.state_key.substr(phrase ? passphrase.size() : 0), "state_key"});
  }
  for (const auto& pool : config.pools) {
    const auto of = " of the pool " + pool.name;
    files.push_back({pool.members_ca, "members_ca" + of});
    if (!pool.tokens) continue;
    files.push_back({pool.tokens->certificate, "the issuer's certificate" + of});
    files.push_back({pool.tokens->key, "the issuer's key" + of});
    files.push_back({pool.tokens->attest_ca, "attest_ca" + of});
    files.push_back({pool.tokens->attest_secrets, "attest_secrets" + of});
    const auto& redis = pool.tokens->redis;
    if (redis && redis->port.empty()) files.push_back({redis->host, "redis" + of});
  }
  std::erase_if(files, [](const TakenFile& taken) { return taken.file.empty(); });
  return files;
}

}  // namespace

// What keyd writes would destroy what is there: the audit log cuts off a torn line, the
// state replaces the whole file, the admin socket removes another one.
void refuse_shared_files(const toml_file::Section& section, const AuthorityConfig& config) {
  auto taken = files_read(config);
  const auto take = [&](std::string_view key, const std::filesystem::path& file, const char* by) {
    for (const auto& other : taken) {
      if (!same_file(file, other.file)) continue;
      section.fail(key, file.string() + " is taken by " + other.by,
                   "keyd writes there: name a file that nothing else is in");
    }
    taken.push_back({file, by});
  };
  take("state", config.state, "state");
  take("state", config.state.string() + ".lock", "state for its lock");      // file_store.cpp
  take("state", config.state.string() + ".new", "state for its next copy");  // atomic_file.cpp
  take("audit", config.audit, "audit");
  take("admin", config.admin, "admin");
}

}  // namespace keyd
