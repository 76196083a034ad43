#include "replay/redis_server.hpp"

#include <doctest/doctest.h>
#include <hiredis/hiredis.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

namespace samples {

using namespace ticket;
using namespace ticket::replay;

namespace {

using Context = std::unique_ptr<redisContext, void (*)(redisContext*)>;

Context connect(const std::string& path) { return {redisConnectUnix(path.c_str()), redisFree}; }

std::string text_of(const redisReply* reply) {
  if (reply == nullptr) return "no answer";
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  if (reply->type == REDIS_REPLY_NIL) return "nil";
  if (reply->type != REDIS_REPLY_ARRAY) return {reply->str, static_cast<std::size_t>(reply->len)};
  std::string all;
  for (std::size_t i = 0; i < reply->elements; ++i) all += text_of(reply->element[i]) + "\n";
  return all;
}

void append(redisContext* context, const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const auto& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  REQUIRE(redisAppendCommandArgv(context, static_cast<int>(words.size()), texts.data(),
                                 sizes.data()) == REDIS_OK);
}

}  // namespace

RealRedis::RealRedis(const std::vector<std::string>& more)
    : argv_{"redis-server", "--port", "0", "--unixsocket",           socket(), "--dir",
            folder_.path(), "--save", "",  "--enable-debug-command", "yes"} {
  argv_.insert(argv_.end(), more.begin(), more.end());
  start();
}

RealRedis::~RealRedis() = default;  // the process is killed by its pid

void RealRedis::start() {
  process_.emplace(argv_);
  const bool up =
      support::wait_until([&] { return ask({"PING"}) == "PONG"; }, std::chrono::seconds(20));
  REQUIRE_MESSAGE(up, process_->output());
}

void RealRedis::kill() { process_->kill(); }

std::string RealRedis::ask(const std::vector<std::string>& words) const {
  const auto context = connect(socket());
  if (context == nullptr || context->err != 0) return "no connection";
  append(context.get(), words);
  void* reply = nullptr;
  if (redisGetReply(context.get(), &reply) != REDIS_OK) return "no answer";
  const auto text = text_of(static_cast<redisReply*>(reply));
  freeReplyObject(reply);
  return text;
}

void RealRedis::stop() const {
  process_->send(SIGSTOP);
  const auto stat = "/proc/" + std::to_string(process_->pid()) + "/stat";
  REQUIRE(support::wait_until(
      [&] { return support::read_text(stat).find(") T ") != std::string::npos; },
      std::chrono::seconds(20)));
}

void RealRedis::busy_with(const std::vector<std::string>& words) const {
  const auto context = connect(socket());
  REQUIRE(context != nullptr);
  append(context.get(), words);
  int done = 0;
  while (done == 0) REQUIRE(redisBufferWrite(context.get(), &done) == REDIS_OK);
  // What it has read it does at once, before it reads from anybody else.
  const auto read = [&] {
    int unread = 1;
    return ioctl(context->fd, SIOCOUTQ, &unread) == 0 && unread == 0;
  };
  REQUIRE(support::wait_until(read, std::chrono::seconds(20)));
}

// ---- a session over a socket

Driver::Driver(RedisSession& session, const std::string& path) : session_(session) {
  socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    session_.disconnected("no connection");
    return;
  }
  session_.connected(std::chrono::steady_clock::now());
}

Driver::~Driver() {
  session_.disconnected("closed");
  close(socket_);
}

void Driver::step() {
  auto& output = session_.output();
  const auto sent = send(socket_, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) output.erase(0, static_cast<std::size_t>(sent));
  pollfd wanted{socket_, static_cast<short>(output.empty() ? POLLIN : POLLIN | POLLOUT), 0};
  std::array<std::byte, 16 << 10> bytes;
  const bool ready = poll(&wanted, 1, 5) > 0 && (wanted.revents & ~POLLOUT) != 0;
  const auto now = std::chrono::steady_clock::now();
  if (ready) {
    const auto size = recv(socket_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return session_.disconnected("closed by Redis");
    session_.received(BytesView(bytes).first(static_cast<std::size_t>(size)), now);
  }
  session_.tend(now);
}

bool Driver::until(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    if (session_.open()) {
      step();
    } else {
      usleep(1000);
    }
  }
  return true;
}

}  // namespace samples
