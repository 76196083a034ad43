// A pool's ring in a file that the agent writes and the processes of one host
// read. Two slots and an index: the writer fills the idle slot, flips, wipes the
// other, so that a writer killed at any moment leaves one whole slot.
//
// Nothing is mapped: a file that someone truncates would otherwise kill every
// reader with SIGBUS, and a mapped slot would keep secrets in a reader past
// their time. Slots are copied straight into locked memory.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>

#include "ring/ring.hpp"

namespace ticket::ring {

class Fd {  // an owned file descriptor
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // Whether `path` still names the file that is open.
  bool is_at(const std::filesystem::path& path) const;

 private:
  int fd_ = -1;
};

// One writer a file: the file is locked while it lives. Not shared between threads.
class RingWriter {
 public:
  // Opens or creates the file (mode 0640; `group` -1 = as it comes). A file of
  // another layout or pool is refused. Throws std::system_error or
  // std::runtime_error naming the path and the way out.
  RingWriter(const std::filesystem::path& path, std::string_view pool, int group = -1);
  // The same, but nullopt when the file has a writer already.
  static std::optional<RingWriter> unless_taken(const std::filesystem::path& path,
                                                std::string_view pool, int group = -1);

  // bad_key for keys that no door takes.
  [[nodiscard]] Checked<bool> publish(const Ring& ring, Moment now);
  void heartbeat(Moment now);
  // The ring that the file holds, if any: what an agent starts with.
  std::optional<Ring> current() const;
  // False once the file at the path is no longer the one that is written, or no
  // longer whole.
  bool in_place() const;
  // False once another file, or none, stands at the path.
  bool is_named() const { return file_.is_at(path_); }
  // Of a file that lost its name: who still has it open keeps no secret in it.
  void wipe();
  // Goes on with the file that stands at the path now, made when there is none. It
  // holds what the lost one held, or its own ring; none when that was emptied. Throws
  // as the constructor does, and then changes nothing.
  void reopen(Moment now);

 private:
  RingWriter(const std::filesystem::path& path, std::string_view pool, Fd locked, int group);
  void start_new();
  void write_header(std::uint64_t index, sys_seconds heartbeat);
  void start_index();
  void take_over();
  void wipe_slot(std::uint64_t index);

  std::filesystem::path path_;
  std::string pool_;
  int group_;
  Fd file_;
  std::uint64_t index_ = 0;
};

// Why a ring file gives no ring.
enum class RingFileState {
  ok,
  missing,
  unreadable,
  truncated,
  not_a_ring,
  other_version,
  empty,
  torn,
  other_pool,
  bad_keys
};
const char* to_text(RingFileState state);

// Every call reads the file: for those who tend a ring, not for handshakes.
// Safe to share between threads.
class RingReader {
 public:
  // Never throws for what the file is: state() tells.
  explicit RingReader(const std::filesystem::path& path);

  RingFileState state() const { return state_; }
  // Changes with each publish; 0 when there is no file or no ring.
  std::uint64_t index() const;
  // When the writer last lived; epoch 0 when never.
  sys_seconds heartbeat() const;
  tl::expected<Ring, RingFileState> read() const;
  // The file at the path is no longer the one that is open (made anew).
  bool replaced() const;

 private:
  std::filesystem::path path_;
  RingFileState state_ = RingFileState::missing;
  Fd file_;
};

}  // namespace ticket::ring
