// Real processes for tests: started with arguments, waited for with patience,
// ended by pid. What a test forgets to end dies with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace support {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

struct ProcessOptions {
  std::map<std::string, std::string> environment;  // beside the test's own
  std::string input;                               // its standard input, whole
  std::filesystem::path folder;                    // to run in; empty = the test's
};

// A running program, found in PATH when it has no slash. Movable; killed when
// it goes out of scope.
class Process {
 public:
  explicit Process(const std::vector<std::string>& argv, const ProcessOptions& options = {});
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  pid_t pid() const { return pid_; }
  bool alive();
  void send(int signal) const;

  // The exit code, 128 + N when signal N ended it; nullopt when it still runs
  // after `patience`.
  std::optional<int> wait(Milliseconds patience);
  // SIGKILL, and waits.
  void kill();

  // What it has written so far, standard output and error together.
  std::string output() const;

 private:
  pid_t pid_ = -1;
  int output_ = -1;  // a file in memory
  std::optional<int> ended_;
};

struct Outcome {
  int code;  // as Process::wait; -1 when it was killed for taking too long
  std::string output;
};

// Runs a program to its end.
Outcome run(const std::vector<std::string>& argv, const ProcessOptions& options = {},
            Milliseconds patience = 60s);

// A folder of its own for a test, removed with everything in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A TCP port of 127.0.0.1 that nobody listens on, below those that outgoing
// connections get. No test and no fleet gets it again while this process lives.
std::uint16_t unused_port();

// Asks every 20 ms; false when the condition does not hold within `patience`.
bool wait_until(const std::function<bool()>& condition, Milliseconds patience);

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

// Where the source tree and the built programs are.
std::filesystem::path source_root();
std::filesystem::path build_root();

}  // namespace support
