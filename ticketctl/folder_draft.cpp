#include "folder_draft.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace ticketctl {

namespace fs = std::filesystem;
using ticket::SecretBytes;

namespace {

[[noreturn]] void fail(const char* doing, const fs::path& path) {
  throw std::system_error(errno, std::generic_category(),
                          std::string("cannot ") + doing + " " + path.string());
}

struct Descriptor {
  int number;
  ~Descriptor() { close(number); }
};

void write_all(int file, ticket::BytesView bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

// O_EXCL: never through a link that somebody laid there, never over a file.
void create(const fs::path& path, ticket::BytesView bytes, mode_t mode) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (file < 0) fail("make", path);
  const Descriptor closing{file};
  try {
    write_all(file, bytes, path);
    if (fsync(file) != 0) fail("write", path);
  } catch (...) {
    unlink(path.c_str());
    throw;
  }
}

void make_folder(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) != 0) fail("make the folder", path);
}

void sync_folder(const fs::path& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) fail("open", path);
  const Descriptor closing{folder};
  if (fsync(folder) != 0) fail("write", path);
}

// Takes away what was made, last first, unless it is told that all went well.
class Undo {
 public:
  ~Undo() {
    std::error_code ignored;
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) fs::remove(*path, ignored);
  }
  void made(const fs::path& path) { made_.push_back(path); }
  void keep_all() { made_.clear(); }

 private:
  std::vector<fs::path> made_;
};

void make_root(const fs::path& root, Undo& undo) {
  if (root.empty() || fs::is_directory(root)) return;
  make_root(root.parent_path(), undo);
  make_folder(root);
  undo.made(root);
}

}  // namespace

void FolderDraft::folder(const std::string& path) {
  entries_.push_back({Kind::folder, path, "", {}});
}

void FolderDraft::file(const std::string& path, const std::string& text) {
  entries_.push_back({Kind::file, path, text, {}});
}

void FolderDraft::secret(const std::string& path, SecretBytes bytes) {
  entries_.push_back({Kind::secret, path, "", std::move(bytes)});
}

std::vector<fs::path> FolderDraft::conflicts(const fs::path& root) const {
  std::vector<fs::path> found;
  for (const auto& entry : entries_) {
    const auto path = root / entry.path;
    if (fs::exists(fs::symlink_status(path))) found.push_back(path);
  }
  return found;
}

void FolderDraft::write(const fs::path& root) const {
  Undo undo;
  make_root(root.has_filename() ? root : root.parent_path(), undo);
  for (const auto& entry : entries_) {
    write_entry(root / entry.path, entry);
    undo.made(root / entry.path);
  }
  for (const auto& entry : entries_) {
    if (entry.kind == Kind::folder) sync_folder(root / entry.path);
  }
  sync_folder(root);
  undo.keep_all();
}

void FolderDraft::write_entry(const fs::path& path, const Entry& entry) const {
  switch (entry.kind) {
    case Kind::folder:
      return make_folder(path);
    case Kind::file:
      return create(path, ticket::as_bytes(entry.text), 0644);
    case Kind::secret:
      return create(path, entry.secret.expose(), 0600);
  }
}

SecretBytes key_text(const ticket::Secret<32>& key) {
  constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  SecretBytes text(sodium_base64_ENCODED_LEN(32, variant));
  auto* characters = reinterpret_cast<char*>(text.fill().data());
  sodium_bin2base64(characters, text.size(), ticket::raw(key.expose()), 32, variant);
  characters[text.size() - 1] = '\n';  // where the zero stood
  return text;
}

}  // namespace ticketctl
