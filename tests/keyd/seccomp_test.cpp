#include "seccomp.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <thread>

#include "key_maker.hpp"

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

  TEST_CASE("a thread that ran before is caged too") {
    const auto opens_in_a_thread = [](const char* mode) {
      return end_of("off", [mode] {
        std::atomic<bool> caged = false, opened = false;
        std::thread before([&] {
          while (!caged) std::this_thread::yield();
          opened = opens(AF_INET);
        });
        keyd::restrict_system_calls(mode);
        caged = true;
        before.join();
        return opened.load();
      });
    };
    CHECK(opens_in_a_thread("off") == 0);
    CHECK(opens_in_a_thread("errno") == said_no);
    const int status = opens_in_a_thread("kill");
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
  }

  TEST_CASE("the maker of token keys works in the cage, and ends there") {
    CHECK(end_of("off", [] {
            keyd::KeyMaker maker;
            keyd::restrict_system_calls("kill");
            maker.want(2);
            std::vector<ticket::token::IssuerKey> keys;
            while (keys.size() < 2) {
              auto polled = maker.interest();
              if (::poll(&polled, 1, 60'000) != 1) return false;
              for (auto& key : maker.take()) keys.push_back(std::move(key));
            }
            return maker.take().empty() && keys[0].public_key().id != keys[1].public_key().id;
          }) == 0);
  }

  TEST_CASE("it may still read its configuration") { CHECK(end_of("kill", reads_a_file) == 0); }
}
