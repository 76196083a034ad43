// A folder's new files: all of them are written, or none.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/secret.hpp"

namespace ticketctl {

class FolderDraft {
 public:
  // Paths are relative to the folder that write() is given; parents come first.
  void folder(const std::string& path);                             // mode 0700
  void file(const std::string& path, const std::string& text);      // mode 0644
  void secret(const std::string& path, ticket::SecretBytes bytes);  // mode 0600

  // What of it stands in `root` already, in any form.
  std::vector<std::filesystem::path> conflicts(const std::filesystem::path& root) const;

  // Makes `root` (0700, with its parents) where it is missing, and all of the
  // draft in it. Throws std::system_error when something cannot be made or is
  // there already; what was made until then is removed again.
  void write(const std::filesystem::path& root) const;

 private:
  enum class Kind { folder, file, secret };
  struct Entry {
    Kind kind;
    std::string path;
    std::string text;
    ticket::SecretBytes secret;
  };
  void write_entry(const std::filesystem::path& path, const Entry& entry) const;

  std::vector<Entry> entries_;
};

// 32 secret bytes as keys stand in files: 43 characters of base64url and a
// newline.
ticket::SecretBytes key_text(const ticket::Secret<32>& key);

}  // namespace ticketctl
