#include "atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "ring/ring_file.hpp"

namespace keyd {
namespace {

using ticket::ring::Fd;

[[noreturn]] void fail(const std::filesystem::path& path, int error = errno) {
  throw std::system_error(error, std::generic_category(), path.string());
}

void write_all(const Fd& file, ticket::BytesView content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const auto written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path);
    content = content.subspan(static_cast<std::size_t>(written));
  }
}

void sync_folder(const std::filesystem::path& file) {
  auto folder = file.parent_path();
  if (folder.empty()) folder = ".";
  const Fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0) fail(folder);
}

void write_temporary(const std::filesystem::path& path, ticket::BytesView content, mode_t mode) {
  ::unlink(path.c_str());  // left by a kill; perhaps with another mode
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file || ::fchmod(file.get(), mode) != 0) fail(path);
  write_all(file, content, path);
  if (::fsync(file.get()) != 0) fail(path);
}

}  // namespace

void write_atomically(const std::filesystem::path& path, ticket::BytesView content, mode_t mode) {
  auto temporary = path;
  temporary += ".new";
  try {
    write_temporary(temporary, content, mode);
    rename_durably(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to);
  sync_folder(to);
}

void wipe_file(const std::filesystem::path& path) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return;
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) fail(path);
  const ticket::Bytes zeros(static_cast<std::size_t>(status.st_size));
  write_all(file, zeros, path);
  if (::fsync(file.get()) != 0 || ::unlink(path.c_str()) != 0) fail(path);
  sync_folder(path);
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) fail(path);
  std::string content;
  char buffer[65536];
  for (;;) {
    const auto got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > limit) fail(path, EFBIG);
  }
}

}  // namespace keyd
