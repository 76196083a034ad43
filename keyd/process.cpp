#include "process.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>

#include "log_line.hpp"

namespace keyd {

namespace {

// sodium_malloc spends 4 pages on each secret; a keeper of a few pools needs this.
constexpr rlim_t enough_for_secrets = rlim_t{8} << 20;

// A process with CAP_IPC_LOCK locks without regard to its limit; the kernel asks
// for it when the limit is zero, so that is how to find out.
bool may_lock_everything(rlimit limit) {
  if (limit.rlim_max == RLIM_INFINITY) return true;
  const rlimit none{0, limit.rlim_max};
  alignas(16) static char byte;
  ::setrlimit(RLIMIT_MEMLOCK, &none);
  const bool may = ::mlock(&byte, 1) == 0;
  if (may) ::munlock(&byte, 1);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
  return may;
}

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit >> 10) + " KiB";
}

// sd_watchdog_enabled(3), without its library.
std::optional<std::chrono::milliseconds> watchdog_third() {
  const char* period = std::getenv("WATCHDOG_USEC");
  const char* whose = std::getenv("WATCHDOG_PID");
  if (period == nullptr || (whose != nullptr && whose != std::to_string(::getpid()))) {
    return std::nullopt;
  }
  const auto microseconds = std::strtoull(period, nullptr, 10);
  if (microseconds == 0 || microseconds > 3'600'000'000'000ULL) return std::nullopt;
  return std::max(std::chrono::milliseconds(microseconds / 3000), std::chrono::milliseconds(1));
}

}  // namespace

void harden_process() {
  ::umask(077);
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot forbid core dumps");
  }
}

std::optional<std::string> lock_memory() {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
  // MCL_FUTURE under a limit would turn a later allocation into a crash.
  if (may_lock_everything(limit)) {
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return std::nullopt;
    return std::string("memory is not locked: mlockall: ") + std::strerror(errno);
  }
  return "only " + limit_text(limit.rlim_cur) + " of memory can be locked (RLIMIT_MEMLOCK): " +
         (limit.rlim_cur < enough_for_secrets ? "secrets may reach the swap space"
                                              : "secrets are locked, nothing else is") +
         "; set LimitMEMLOCK=infinity in keyd's systemd unit";
}

Notifier::Notifier() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
      std::strlen(path) >= sizeof address.sun_path) {
    return;
  }
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  socket_ = ticket::ring::Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    socket_ = {};
    return;
  }
  alive_every_ = watchdog_third();
}

void Notifier::ready() const { send("READY=1"); }

void Notifier::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send("RELOADING=1\nMONOTONIC_USEC=" +
       std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void Notifier::stopping() const { send("STOPPING=1"); }

void Notifier::alive() const { send("WATCHDOG=1"); }

void Notifier::status(const std::string& text) {
  if (text == status_) return;
  if (send("STATUS=" + escaped(text))) status_ = text;  // else said again next time
}

// False when the manager's queue is full.
bool Notifier::send(const std::string& text) const {
  if (!socket_) return true;
  const auto sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

}  // namespace keyd
