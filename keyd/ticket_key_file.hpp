// A pool's ticket keys in files that a server reads when it starts or reloads:
// written when the keys that it should hold change, then the server is told.
#pragma once

#include <spdlog/common.h>
#include <sys/types.h>

#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>

#include "agent_backoff.hpp"
#include "change_command.hpp"
#include "feed_sight.hpp"
#include "ticket_key.hpp"

namespace keyd {

class TicketKeyFile {
 public:
  using Log = std::function<void(spdlog::level::level_enum, const std::string&)>;

  struct Settings {
    std::string pool, context;
    KeyLayout layout = KeyLayout::nginx;
    // Layout haproxy: one file of three keys. Else a key a file: the first seals,
    // then the next to seal, then those that sealed before.
    std::vector<std::filesystem::path> paths;
    std::vector<std::string> on_change;  // empty: nobody is told
    Log log;
  };

  explicit TicketKeyFile(Settings settings);

  // Twice a second or so. Writes the files when other keys should stand in them
  // than they hold, or somebody else touched them; runs on_change after it, and
  // once when the agent starts. What fails is logged, counted and tried again.
  // Returns whether files were written.
  bool update(const ticket::ring::Ring& ring, ticket::Moment now,
              ChangeCommand::Clock::time_point t);

  const KeyFileSight& sight() const { return sight_; }

 private:
  struct Identity {  // of a file as we left it
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec changed{};
    bool operator==(const Identity&) const;
  };
  static std::optional<Identity> identity_of(const std::filesystem::path& path);

  std::size_t slots() const;
  bool untouched() const;
  std::vector<ticket::SecretBytes> contents(const HeldKeys& held) const;
  bool write(const HeldKeys& held, ticket::Moment now);
  bool holds(const std::filesystem::path& path, const ticket::SecretBytes& content) const;
  void run_command(ChangeCommand::Clock::time_point now);
  void trouble(const std::string& what);
  void log(spdlog::level::level_enum level, const std::string& text) const;

  Settings settings_;
  KeyFileSight sight_;
  std::string fingerprint_;  // of the keys that the files hold
  std::vector<Identity> left_;
  ChangeCommand command_;
  bool tell_ = false;  // the server has not heard of the files yet
  Backoff backoff_;
  ChangeCommand::Clock::time_point retry_at_{};
  bool cost_told_ = false;
};

// Secrets on a disk stay there when the file is replaced: the warning for a path
// that is not on tmpfs or ramfs; nullopt when it is, or where nobody can tell.
std::optional<std::string> disk_warning(const std::filesystem::path& path);

}  // namespace keyd
