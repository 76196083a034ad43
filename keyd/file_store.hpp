// The state as one file: temp, fsync, rename, fsync of the folder. The lock
// file beside it has the counter of the last store as text.
#pragma once

#include <filesystem>

#include "ring/ring_file.hpp"  // Fd
#include "store.hpp"

namespace keyd {

class FileStore : public StateStore {
 public:
  // Makes the folder (0700) when it is missing, and locks PATH.lock while it
  // lives: two keepers never share a state. Throws std::runtime_error naming the
  // path and the way out.
  explicit FileStore(std::filesystem::path path);

  void load(std::function<void(Loaded)> done) override;
  void store(std::uint64_t expected, ticket::Bytes blob, Stored done) override;

 private:
  std::string replace(std::uint64_t expected, const ticket::Bytes& blob);
  std::string write_whole(const ticket::Bytes& blob);
  bool stands_at(std::uint64_t expected) const;
  void note(std::uint64_t counter) const;
  std::optional<std::uint64_t> noted() const;

  std::filesystem::path path_;
  ticket::ring::Fd lock_;
  // What a failed store may have left: renamed, but the folder not synced.
  std::optional<std::uint64_t> attempted_;
};

}  // namespace keyd
