// The operator's door: a Unix socket that the keeper itself owns, so that no
// front can order anything. Requests and answers: docs/formats.md.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "channel.hpp"
#include "ring/ring_file.hpp"  // Fd

namespace keyd {

// For a poll loop of one thread. The kernel says who calls (SO_PEERCRED): root,
// our own user and those allowed are served, others get an error and a line in
// the log.
class AdminSocket {
 public:
  // A request, who sent it, and where its answer goes: answer() is called once
  // for each.
  using Handler =
      std::function<void(std::uint64_t connection, uid_t by, const nlohmann::json& request)>;

  // Takes the place of a socket file that a dead keeper left. Throws
  // std::runtime_error naming the path, also where somebody listens.
  AdminSocket(const std::filesystem::path& path, std::set<uid_t> allowed, Handler handler);
  // Removes the socket file, if it still is ours.
  ~AdminSocket();

  void add_interests(std::vector<pollfd>& polled) const;
  void handle(const std::vector<pollfd>& polled, ticket::sys_seconds now);

  // A connection that has gone is no error.
  void answer(std::uint64_t connection, const nlohmann::json& text);

 private:
  struct Connection {
    ticket::ring::Fd socket;
    uid_t by = 0;
    FrameDecoder decoder{admin_frame_limit};
    std::string out;
    bool busy = false;  // the handler has not answered yet: nothing more is read
    bool closing = false;
  };

  void accept_one(ticket::sys_seconds now);
  void admit(ticket::ring::Fd socket, ticket::sys_seconds now);
  void close_oldest();
  bool serve(std::uint64_t id, Connection& connection, short events);
  bool read_some(Connection& connection);
  void take_requests(std::uint64_t id, Connection& connection);
  bool flush(Connection& connection);

  std::filesystem::path path_;
  std::set<uid_t> allowed_;
  Handler handler_;
  ticket::ring::Fd listener_;
  std::uint64_t file_ = 0;  // which one
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, Connection> connections_;
};

// The numbers of these users, beside root and our own. Throws std::runtime_error
// for a name that nobody has.
std::set<uid_t> admin_user_ids(const std::vector<std::string>& names);

}  // namespace keyd
