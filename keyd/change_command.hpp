// The command that makes a server read its key files again. It is a program and
// its arguments, never a shell's line, runs beside the agent and for a bounded time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace keyd {

class ChangeCommand {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds longest{30};

  ChangeCommand() = default;
  // One that still runs is left to itself.
  ~ChangeCommand();
  ChangeCommand(const ChangeCommand&) = delete;
  ChangeCommand& operator=(const ChangeCommand&) = delete;

  bool running() const { return pid_ > 0; }
  // argv[0] is a full path. Its input is empty, its output the agent's own. Throws
  // std::system_error when it cannot be started. Not while one runs.
  void start(const std::vector<std::string>& argv, Clock::time_point now);
  // How it ended, in words, empty for exit status 0; nullopt while it runs. Ends
  // one that runs for too long (SIGKILL, it and what it started).
  std::optional<std::string> look(Clock::time_point now);

 private:
  pid_t pid_ = -1;
  Clock::time_point deadline_{};
  bool killed_ = false;
};

}  // namespace keyd
