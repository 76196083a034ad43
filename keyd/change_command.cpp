#include "change_command.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace keyd {
namespace {

// What posix_spawn is told, freed with it.
struct Attributes {
  Attributes() {
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
  }
  ~Attributes() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
};

// systemd's socket and watchdog are the agent's: the command must not speak for it.
std::vector<char*> environment() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool ours = text.starts_with("NOTIFY_SOCKET=") || text.starts_with("WATCHDOG_");
    if (!ours) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

ChangeCommand::~ChangeCommand() {
  if (running()) ::waitpid(pid_, nullptr, WNOHANG);
}

void ChangeCommand::start(const std::vector<std::string>& argv, Clock::time_point now) {
  Attributes spawn;
  // A process group of its own can be ended whole; the agent ignores SIGPIPE, which
  // a program would inherit.
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setflags(&spawn.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&spawn.attributes, 0);
  posix_spawnattr_setsigdefault(&spawn.attributes, &all);
  posix_spawnattr_setsigmask(&spawn.attributes, &none);
  posix_spawn_file_actions_addopen(&spawn.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&spawn.actions, STDERR_FILENO + 1);

  std::vector<char*> arguments;
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv.at(0).c_str(), &spawn.actions, &spawn.attributes,
                                  arguments.data(), environment().data());
  if (error != 0) throw std::system_error(error, std::generic_category(), argv[0]);
  pid_ = pid;
  killed_ = false;
  deadline_ = now + longest;
}

std::optional<std::string> ChangeCommand::look(Clock::time_point now) {
  int status = 0;
  const auto ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0) {
    if (now >= deadline_) killed_ = ::kill(-pid_, SIGKILL) == 0;
    return std::nullopt;
  }
  pid_ = -1;
  if (ended < 0) return "it was lost: nobody knows how it ended";
  if (killed_) return "it took longer than " + std::to_string(longest.count()) + " s and was ended";
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status)) + " ended it";
  const auto code = WEXITSTATUS(status);
  return code == 0 ? std::string() : "exit status " + std::to_string(code);
}

}  // namespace keyd
