#include "file_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "atomic_file.hpp"
#include "state.hpp"

namespace keyd {

using ticket::Bytes;
using ticket::ring::Fd;

namespace {

constexpr off_t largest_state = off_t{1} << 30;

std::string failure(const std::string& action, const std::filesystem::path& path) {
  return action + " " + path.string() + ": " + std::strerror(errno);
}

bool read_all(int fd, std::span<std::byte> out) {
  while (!out.empty()) {
    const auto count = ::read(fd, out.data(), out.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    out = out.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

Fd lock(const std::filesystem::path& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) throw std::runtime_error(failure("cannot open the lock file", path));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error("another keyd holds " + path.string() +
                             ": stop it first, or give this one its own state file");
  }
  return file;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

StateStore::Loaded load_file(const std::filesystem::path& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return {};
  if (!file) return {std::nullopt, failure("cannot open", path), {}};
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return {std::nullopt, failure("cannot read", path), {}};
  if (status.st_size > largest_state)
    return {std::nullopt, path.string() + " is no state file", {}};
  Bytes blob(static_cast<std::size_t>(status.st_size));
  if (!read_all(file.get(), blob)) return {std::nullopt, failure("cannot read", path), {}};
  return {std::move(blob), {}, {}};
}

}  // namespace

FileStore::FileStore(std::filesystem::path path) : path_(std::move(path)) {
  const auto folder = folder_of(path_);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw std::runtime_error(failure("cannot make the state's folder", folder));
  }
  lock_ = lock(path_.string() + ".lock");
}

void FileStore::load(std::function<void(Loaded)> done) {
  auto loaded = load_file(path_);
  loaded.newest = noted();
  done(std::move(loaded));
}

void FileStore::store(std::uint64_t expected, Bytes blob, Stored done) {
  done(replace(expected, blob));
}

std::string FileStore::replace(std::uint64_t expected, const Bytes& blob) {
  if (!stands_at(expected)) {
    return path_.string() + " was changed by somebody else: restart keyd to take it up";
  }
  const auto head = parse_state_head(blob);
  if (head) attempted_ = head->counter;
  auto problem = write_whole(blob);
  if (!problem.empty()) return problem;
  attempted_.reset();
  if (head) note(head->counter);
  return {};
}

// Twenty digits in one write, so that it is never half there. That a kill may
// come before it makes no state look older than it is.
void FileStore::note(std::uint64_t counter) const {
  const auto digits = std::to_string(counter);
  const auto text = std::string(20 - digits.size(), '0') + digits + "\n";
  if (::pwrite(lock_.get(), text.data(), text.size(), 0) < 0) return;  // a full disk: next time
}

std::optional<std::uint64_t> FileStore::noted() const {
  char text[20];
  if (::pread(lock_.get(), text, sizeof text, 0) != sizeof text) return std::nullopt;
  std::uint64_t counter = 0;
  const auto parsed = std::from_chars(text, text + sizeof text, counter);
  if (parsed.ec != std::errc() || parsed.ptr != text + sizeof text) return std::nullopt;
  return counter;
}

// The file that is there is the one which the caller's change was made from.
bool FileStore::stands_at(std::uint64_t expected) const {
  const auto loaded = load_file(path_);
  if (!loaded.problem.empty()) return false;
  if (!loaded.blob) return true;  // never stored, or removed: nothing to lose
  const auto head = parse_state_head(*loaded.blob);
  return head && (head->counter == expected || head->counter == attempted_);
}

std::string FileStore::write_whole(const Bytes& blob) {
  try {
    write_atomically(path_, blob, 0600);
    return {};
  } catch (const std::system_error& problem) {
    return std::string("cannot store the state: ") + problem.what();
  }
}

}  // namespace keyd
