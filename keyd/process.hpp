// What each process of keyd does to itself before it does anything else, and
// what systemd wants to hear.
#pragma once

#include <chrono>
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
  bool heard() const { return static_cast<bool>(socket_); }
  // What `systemctl status` shows; sent when it is another text than before.
  void status(const std::string& text);
  // The process lives: systemd kills it when it hears nothing for WatchdogSec.
  void alive() const;
  // How often to say so, a third of WatchdogSec; nullopt when nobody listens.
  std::optional<std::chrono::milliseconds> alive_every() const { return alive_every_; }

 private:
  bool send(const std::string& text) const;
  ticket::ring::Fd socket_;
  std::optional<std::chrono::milliseconds> alive_every_;
  std::string status_;
};

}  // namespace keyd
