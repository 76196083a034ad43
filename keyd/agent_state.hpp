// What an agent keeps of one pool between its lives, in a folder of its own:
//
//   sealing.key   X25519 secret that the stored wrap opens with, 0600
//   next.key      its successor, until a bundle has been opened with it, 0600
//   bundle.json   the last bundle applied and our wrap of it: ciphertext
//   applied.json  the high-water mark: what is older is refused
//
// Each is written whole. A file that does not parse is told and set aside; the
// mark is then taken from the bundle, which is signed.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "crypto/sealing.hpp"
#include "feed/bundle.hpp"

namespace keyd {

struct Mark {
  ticket::feed::Applied applied;
  ticket::sys_seconds enrolled_at;  // the time in the last enrolment signed; it only grows
};

struct StoredBundle {
  ticket::feed::Bundle bundle;
  ticket::Bytes wrap;
};

class AgentState {
 public:
  static constexpr std::array<const char*, 4> files = {"sealing.key", "next.key", "bundle.json",
                                                       "applied.json"};

  using Complain = std::function<void(const std::string&)>;

  // Makes the folder (0700) and reads it; what is wrong goes to `complain`, with
  // what it costs. Throws std::system_error when the folder cannot be used.
  AgentState(std::filesystem::path folder, const std::string& pool,
             const ticket::crypto::SignerPublic& signer, const Complain& complain);

  const Mark& mark() const { return mark_; }
  const std::optional<StoredBundle>& bundle() const { return bundle_; }
  const std::optional<ticket::crypto::BoxSecret>& key() const { return key_; }
  const std::optional<ticket::crypto::BoxSecret>& successor() const { return successor_; }

  // Each is on disk when it returns, and throws std::system_error when it cannot be.
  void store_mark(const Mark& mark);
  void store_bundle(StoredBundle bundle);
  void make_successor();
  // The successor becomes the key; the old key is wiped.
  void promote_successor();
  // Wipes keys and bundle, so that what was sealed opens nowhere. The mark stays.
  void forget();
  // The same, for a folder that nobody uses any more.
  static void forget(const std::filesystem::path& folder);
  // Whether a folder holds what would be forgotten. Never throws.
  static bool remembers(const std::filesystem::path& folder);

 private:
  std::filesystem::path at(const char* name) const { return folder_ / name; }
  std::optional<ticket::crypto::BoxSecret> read_key(const char* name, const Complain& complain);
  void read_bundle(const Complain& complain);
  void read_mark(const std::string& pool, const ticket::crypto::SignerPublic& signer,
                 const Complain& complain);

  std::filesystem::path folder_;
  std::optional<ticket::crypto::BoxSecret> key_, successor_;
  std::optional<StoredBundle> bundle_;
  Mark mark_;
};

}  // namespace keyd
