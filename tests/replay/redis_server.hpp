// A real redis-server of a test's own, in a folder of its own, on a Unix socket.
#pragma once

#include <string>
#include <vector>

#include "replay/redis_session.hpp"
#include "support/process.hpp"

namespace samples {

class RealRedis {
 public:
  // `more`: of its options, "--appendonly yes" as two words.
  explicit RealRedis(const std::vector<std::string>& more = {});
  ~RealRedis();

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::string socket() const { return folder_ / "redis.sock"; }

  void start();  // again
  void kill();   // SIGKILL

  // One command; texts as they are, integers and lists as text, errors as they are.
  std::string ask(const std::vector<std::string>& words) const;
  // Sends it, and waits until it is busy with it: it answers nobody.
  void busy_with(const std::vector<std::string>& words) const;
  void stop() const;  // SIGSTOP: it stands still, and answers nobody any more

 private:
  support::TempFolder folder_;
  std::vector<std::string> argv_;
  std::optional<support::Process> process_;
};

// Drives a session over a Unix socket, and waits.
class Driver {
 public:
  Driver(ticket::replay::RedisSession& session, const std::string& path);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Sends, receives and tends until the condition holds; false after `patience`.
  bool until(const std::function<bool()>& condition,
             std::chrono::milliseconds patience = std::chrono::seconds(20));

 private:
  void step();

  ticket::replay::RedisSession& session_;
  int socket_ = -1;
};

}  // namespace samples
