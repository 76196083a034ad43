#include "seccomp.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace {

// How a child ends that restricts itself and then does something.
int end_of(const char* mode, const std::function<bool()>& deed) {
  const auto child = ::fork();
  if (child == 0) {
    bool fine = false;
    try {
      keyd::restrict_system_calls(mode);
      fine = deed();
    } catch (...) {
      ::_exit(3);
    }
    ::_exit(fine ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

bool opens(int family) { return ::socket(family, SOCK_STREAM, 0) >= 0; }

bool runs_a_program() {
  ::execl("/bin/true", "true", nullptr);
  return false;  // it came back: it was not run
}

bool reads_a_file() {
  char byte = 0;
  const int file = ::open("/etc/hostname", O_RDONLY | O_CLOEXEC);
  return file >= 0 && ::read(file, &byte, 1) == 1 && ::close(file) == 0;
}

constexpr int said_no = 1 << 8;  // exit status 1

}  // namespace

TEST_SUITE("seccomp") {
  TEST_CASE("without the cage all of it works, so the tests below can fail") {
    CHECK(end_of("off", [] { return opens(AF_INET); }) == 0);
    CHECK(end_of("off", [] { return opens(AF_INET6); }) == 0);
    CHECK(end_of("off", runs_a_program) == 0);
  }

  TEST_CASE("a keeper opens no network socket and runs no program") {
    CHECK(end_of("errno", [] { return opens(AF_INET); }) == said_no);
    CHECK(end_of("errno", [] { return opens(AF_INET6); }) == said_no);
    CHECK(end_of("errno", runs_a_program) == said_no);
  }

  TEST_CASE("the call fails with EPERM, or ends the process") {
    CHECK(end_of("errno", [] { return !opens(AF_INET) && errno == EPERM; }) == 0);
    const int status = end_of("kill", [] { return opens(AF_INET); });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
  }

  TEST_CASE("it may still read its configuration") { CHECK(end_of("kill", reads_a_file) == 0); }
}
