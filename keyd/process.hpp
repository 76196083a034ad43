// What each process of keyd does to itself before it does anything else, and
// what systemd wants to hear.
#pragma once

#include <optional>
#include <string>

#include "ring/ring_file.hpp"  // Fd

namespace keyd {

// No core dump, no debugger of the same user, no files for others.
void harden_process();

// Locks what the process has and will have into RAM. When the limit is too
// small, what to do about it; secrets are then locked one by one as far as the
// limit reaches, and nullopt means that all is locked.
std::optional<std::string> lock_memory();

// Tells systemd, if it is there, over a socket opened beforehand: a process
// under seccomp opens no other.
class Notifier {
 public:
  Notifier();  // from $NOTIFY_SOCKET
  void ready() const;
  void reloading() const;
  void stopping() const;

 private:
  void send(const std::string& text) const;
  ticket::ring::Fd socket_;
};

}  // namespace keyd
