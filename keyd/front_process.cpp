#include "front_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

namespace keyd {

using ticket::ring::Fd;

namespace {

// A front that takes nothing for so long is of no use.
constexpr std::size_t most_unsent = std::size_t{256} << 20;

// Only what may be called between fork and exec.
[[noreturn]] void become_front(int socket, const char* socket_number, pid_t keeper) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(1);  // it died before we asked to be told
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::fcntl(socket, F_SETFD, 0);  // the one descriptor that it keeps
  ::execl("/proc/self/exe", "keyd", "front", "--fd", socket_number, nullptr);
  ::_exit(127);
}

}  // namespace

FrontProcess::FrontProcess() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  socket_ = Fd(pair[0]);
  const Fd its_socket(pair[1]);
  const auto number = std::to_string(its_socket.get());
  const auto keeper = ::getpid();
  process_ = ::fork();
  if (process_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process_ == 0) become_front(its_socket.get(), number.c_str(), keeper);
  ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
}

FrontProcess::~FrontProcess() {
  using namespace std::chrono_literals;
  ::shutdown(socket_.get(), SHUT_RDWR);
  for (int i = 0; i < 100; ++i) {
    if (::waitpid(process_, nullptr, WNOHANG) != 0) return;
    std::this_thread::sleep_for(20ms);
  }  // the kernel ends it when we end
}

void FrontProcess::send(const ToFront& message) {
  out_ += frame(write_message(message), front_frame_limit);
  if (out_.size() > most_unsent) throw ChannelError("the front takes nothing any more");
  flush();
}

pollfd FrontProcess::interest() const {
  return {socket_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
}

std::vector<ToKeeper> FrontProcess::handle(short events) {
  if ((events & POLLOUT) != 0) flush();
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) read_some();
  std::vector<ToKeeper> messages;
  while (const auto text = decoder_.next()) messages.push_back(parse_to_keeper(*text));
  return messages;
}

void FrontProcess::read_some() {
  char buffer[65536];
  const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) throw ChannelError("the front has ended");
  decoder_.feed({buffer, static_cast<std::size_t>(count)});
}

void FrontProcess::flush() {
  std::size_t done = 0;
  while (done < out_.size()) {
    const auto count = ::send(socket_.get(), out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) throw ChannelError("the front has ended");
    done += static_cast<std::size_t>(count);
  }
  out_.erase(0, done);
}

}  // namespace keyd
