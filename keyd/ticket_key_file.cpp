#include "ticket_key_file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "atomic_file.hpp"
#include "ring/ring_file.hpp"

namespace keyd {

using spdlog::level::level_enum;
using ticket::SecretBytes;

namespace {

// The servers read as root; nobody else has to enter a folder that we make.
void make_folder(const std::filesystem::path& folder) {
  if (!std::filesystem::create_directories(folder)) return;
  using std::filesystem::perms;
  std::filesystem::permissions(folder, perms::owner_all | perms::group_exec | perms::others_exec |
                                           perms::group_read | perms::others_read);
}

}  // namespace

TicketKeyFile::TicketKeyFile(Settings settings)
    : settings_(std::move(settings)), tell_(!settings_.on_change.empty()) {
  sight_.pool = settings_.pool;
  sight_.context = settings_.context;
  sight_.file = settings_.paths.at(0).string();
  sight_.has_command = !settings_.on_change.empty();
}

bool TicketKeyFile::update(const ticket::ring::Ring& ring, ticket::Moment now,
                           ChangeCommand::Clock::time_point t) {
  sight_.cost = cost_of_feeding(ring.policy, slots());
  if (!std::exchange(cost_told_, true) && !sight_.cost.empty()) log(level_enum::warn, sight_.cost);
  const auto held = held_keys(ring, settings_.context, settings_.layout, slots(), now);
  bool written = false;
  if ((held.fingerprint != fingerprint_ || !untouched()) && t >= retry_at_) {
    try {
      written = write(held, now);
      tell_ = tell_ || (written && sight_.has_command);
      sight_.trouble.clear();
      backoff_.reset();
    } catch (const std::exception& error) {
      ++sight_.failures;
      trouble(error.what());
      retry_at_ = t + backoff_.next(randombytes_random());
    }
  }
  if (sight_.has_command && !fingerprint_.empty()) run_command(t);
  return written;
}

std::size_t TicketKeyFile::slots() const {
  return settings_.layout == KeyLayout::haproxy ? haproxy_slots : settings_.paths.size();
}

// ---- files

bool TicketKeyFile::Identity::operator==(const Identity& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

std::optional<TicketKeyFile::Identity> TicketKeyFile::identity_of(
    const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino, status.st_size, status.st_ctim};
}

bool TicketKeyFile::untouched() const {
  for (std::size_t i = 0; i < left_.size(); ++i) {
    if (identity_of(settings_.paths[i]) != left_[i]) return false;
  }
  return true;
}

std::vector<SecretBytes> TicketKeyFile::contents(const HeldKeys& held) const {
  std::vector<SecretBytes> contents;
  if (settings_.layout == KeyLayout::haproxy) {
    std::vector<const SecretBytes*> lines;
    for (const auto index : haproxy_order) lines.push_back(&held.keys.at(index));
    contents.push_back(base64_lines(lines));
    return contents;
  }
  for (const auto& key : held.keys) contents.push_back(SecretBytes::copy_of(key.expose()));
  return contents;
}

// Whether files were written: after a restart they may hold it all already.
bool TicketKeyFile::write(const HeldKeys& held, ticket::Moment now) {
  const auto wanted = contents(held);
  std::vector<std::size_t> stale;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!holds(settings_.paths[i], wanted[i])) stale.push_back(i);
  }
  // The one that seals goes last: a server that reads in between can open what
  // the others seal, and does not seal yet with what it should.
  for (auto i = stale.rbegin(); i != stale.rend(); ++i) {
    make_folder(settings_.paths[*i].parent_path());
    write_atomically(settings_.paths[*i], wanted[*i].expose(), 0600);
    ++sight_.writes;
    sight_.last_write = now.latest;
  }
  left_.clear();
  for (const auto& path : settings_.paths) left_.push_back(identity_of(path).value_or(Identity{}));
  const bool first = fingerprint_.empty();
  fingerprint_ = held.fingerprint;
  if (held.drawn) {
    log(level_enum::err, "no key may seal now: random ones that nobody else has stand in the file");
  } else if (!stale.empty()) {
    log(first ? level_enum::info : level_enum::debug, "the pool's keys are written");
  }
  return !stale.empty();
}

bool TicketKeyFile::holds(const std::filesystem::path& path, const SecretBytes& content) const {
  const ticket::ring::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (!file && errno == ENOENT) return false;
  if (!file || ::fstat(file.get(), &status) != 0) {
    log(level_enum::warn, path.string() + " cannot be read (" + std::strerror(errno) +
                              "); it is replaced by a file with the pool's keys");
    return false;
  }
  if (!S_ISREG(status.st_mode)) {
    throw std::runtime_error(path.string() + " is a folder or a device, not a key file");
  }
  if (static_cast<std::size_t>(status.st_size) != content.size()) {
    log(level_enum::warn,
        path.string() + " had " + std::to_string(status.st_size) + " bytes where the pool's " +
            std::to_string(key_size(settings_.layout)) + "-byte keys take " +
            std::to_string(content.size()) + "; it is replaced, and who has read it must reload");
    return false;
  }
  SecretBytes found(content.size());
  const auto got = ::pread(file.get(), found.fill().data(), found.size(), 0);
  const bool whole = got == static_cast<ssize_t>(found.size());
  return whole && (status.st_mode & 0777) == 0600 &&
         sodium_memcmp(found.expose().data(), content.expose().data(), found.size()) == 0;
}

// ---- the command

void TicketKeyFile::run_command(ChangeCommand::Clock::time_point now) {
  const auto& program = settings_.on_change[0];
  const auto failed = [&](const std::string& why) {
    ++sight_.commands;
    ++sight_.commands_failed;
    trouble("on_change " + program + ": " + why + "; the server may still use older keys");
    tell_ = true;
    retry_at_ = now + backoff_.next(randombytes_random());
  };
  try {
    if (command_.running()) {
      const auto ended = command_.look(now);
      if (!ended) return;
      if (!ended->empty()) return failed(*ended);
      ++sight_.commands;
      sight_.trouble.clear();
      backoff_.reset();
      log(level_enum::debug, "on_change " + program + ": exit status 0");
    } else if (tell_ && now >= retry_at_) {
      command_.start(settings_.on_change, now);
      tell_ = false;  // what is written from now on wants another run
    }
  } catch (const std::exception& error) {
    failed(error.what());
  }
}

// ---- telling

void TicketKeyFile::trouble(const std::string& what) {
  if (std::exchange(sight_.trouble, what) != what) log(level_enum::err, what);
}

void TicketKeyFile::log(level_enum level, const std::string& text) const {
  settings_.log(level, settings_.pool + ": key file " + sight_.file + ": " + text);
}

std::optional<std::string> disk_warning(const std::filesystem::path& path) {
  struct statfs status {};
  for (auto at = path; ::statfs(at.c_str(), &status) != 0; at = at.parent_path()) {
    if (at == at.parent_path()) return std::nullopt;
  }
  const auto type = static_cast<unsigned long>(status.f_type);
  if (type == TMPFS_MAGIC || type == RAMFS_MAGIC) return std::nullopt;
  return path.string() + " is not on tmpfs: keys that are replaced stay on the disk; use a path " +
         "below /run";
}

}  // namespace keyd
