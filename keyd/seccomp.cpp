#include "seccomp.hpp"

#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <stdexcept>

namespace keyd {

namespace {

// By what they are for. No socket, connect, bind, execve, clone, ptrace.
// clang-format off
constexpr int allowed[] = {
    // what it has open
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(getsockopt), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(fcntl),
    SCMP_SYS(lseek), SCMP_SYS(ioctl),
    // the state file, and the configuration when it is read again
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
    SCMP_SYS(getdents64), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(fchmod), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    // memory
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
    SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
    // time, chance, itself
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(getrandom), SCMP_SYS(futex),
    SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(sysinfo), SCMP_SYS(uname),
    SCMP_SYS(prlimit64), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(wait4), SCMP_SYS(waitid),
    SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
};
// clang-format on

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

void check(int result, const char* what) {
  if (result < 0) {
    throw std::runtime_error(std::string("seccomp: ") + what + " failed (error " +
                             std::to_string(-result) +
                             "); a kernel without it needs seccomp = \"off\"");
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

// A sanitizer's own threads and tracers need more than the list: there only the
// network and other programs are forbidden.
void forbid_the_worst(scmp_filter_ctx filter, std::uint32_t action) {
  for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET}) {
    check(seccomp_rule_add(filter, action, SCMP_SYS(socket), 1,
                           SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))),
          "a rule");
  }
  check(seccomp_rule_add(filter, action, SCMP_SYS(execve), 0), "a rule");
}

void allow_the_list(scmp_filter_ctx filter, bool kill) {
  for (const int call : allowed) {
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0), "a rule");
  }
  // Looking a user up asks name services over a Unix socket; refused politely,
  // glibc reads /etc/passwd instead.
  if (kill) {
    check(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                           SCMP_A0(SCMP_CMP_EQ, AF_UNIX)),
          "a rule");
  }
}

}  // namespace

void restrict_system_calls(const std::string& mode) {
  if (mode == "off") return;
  const bool kill = mode == "kill";
  const std::uint32_t refusal = kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
  const std::unique_ptr<void, Release> filter(seccomp_init(sanitized ? SCMP_ACT_ALLOW : refusal));
  if (!filter) throw std::runtime_error("seccomp: cannot make a filter");
  if (sanitized) {
    forbid_the_worst(filter.get(), refusal);
  } else {
    allow_the_list(filter.get(), kill);
  }
  // the thread that makes token keys as well, not only those yet to come
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1), "covering all threads");
  check(seccomp_load(filter.get()), "loading the filter");
}

}  // namespace keyd
