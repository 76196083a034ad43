#include "admin.hpp"

#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "log.hpp"
#include "socket_file.hpp"

namespace keyd {

using nlohmann::json;
using ticket::sys_seconds;
using ticket::ring::Fd;

namespace {

constexpr std::size_t most_connections = 64;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
  throw std::runtime_error("admin socket " + path.string() + ": " + why);
}

Fd listen_at(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) fail(path, "longer than 107 characters");
  std::strcpy(address.sun_path, path.c_str());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Ours would be left over, as the lock on the state says; it may be one of another state.
  if (std::filesystem::is_socket(path)) {
    if (somebody_listens(path)) {
      fail(path,
           "somebody listens there, such as another keyd: stop that one, or give this one a "
           "path of its own (admin in keyd.toml)");
    }
    ::unlink(path.c_str());
  }
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 64) != 0) {
    fail(path, std::strerror(errno));
  }
  return socket;
}

ucred caller(const Fd& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    credentials.uid = static_cast<uid_t>(-1);
  }
  return credentials;
}

std::string text_of(const json& answer) {
  return answer.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

AdminSocket::AdminSocket(const std::filesystem::path& path, std::set<uid_t> allowed,
                         Handler handler)
    : path_(path),
      allowed_(std::move(allowed)),
      handler_(std::move(handler)),
      listener_(listen_at(path)),
      file_(number_of_file(path)) {
  // Who may connect is decided by who calls, so the file can let others try.
  ::chmod(path_.c_str(), 0666);
}

AdminSocket::~AdminSocket() {
  if (number_of_file(path_) == file_) ::unlink(path_.c_str());
}

void AdminSocket::add_interests(std::vector<pollfd>& polled) const {
  polled.push_back({listener_.get(), POLLIN, 0});
  for (const auto& [id, connection] : connections_) {
    short events = 0;
    if (!connection.busy && !connection.closing) events |= POLLIN;
    if (!connection.out.empty()) events |= POLLOUT;
    polled.push_back({connection.socket.get(), events, 0});
  }
}

void AdminSocket::handle(const std::vector<pollfd>& polled, sys_seconds now) {
  std::map<int, short> ready;
  for (const auto& entry : polled) ready[entry.fd] = entry.revents;
  for (auto next = connections_.begin(); next != connections_.end();) {
    const auto current = next++;
    const auto events = ready[current->second.socket.get()];
    if (events != 0 && !serve(current->first, current->second, events)) {
      connections_.erase(current);
    }
  }
  if (ready[listener_.get()] != 0) accept_one(now);
}

void AdminSocket::accept_one(sys_seconds now) {
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) admit(std::move(socket), now);
}

void AdminSocket::admit(Fd socket, sys_seconds now) {
  const auto who = caller(socket);
  const bool welcome = who.uid == 0 || who.uid == ::getuid() || allowed_.contains(who.uid);
  if (!welcome) {
    const auto user = "user " + std::to_string(who.uid);
    log_refused(now, {.address = user, .reason = "admin"},
                fmt::format("admin socket: {} (process {}) refused", user, who.pid));
    const auto refusal = frame(text_of({{"ok", false}, {"error", "you are not among admin_users"}}),
                               admin_frame_limit);
    ::send(socket.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL);
    return;
  }
  if (connections_.size() >= most_connections) close_oldest();
  Connection connection;
  connection.socket = std::move(socket);
  connection.by = who.uid;
  connections_.emplace(++last_id_, std::move(connection));
}

void AdminSocket::close_oldest() { connections_.erase(connections_.begin()); }

bool AdminSocket::serve(std::uint64_t id, Connection& connection, short events) {
  if ((events & POLLOUT) != 0 && !flush(connection)) return false;
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return true;
  if (connection.busy || connection.closing) return (events & (POLLHUP | POLLERR)) == 0;
  if (!read_some(connection)) return false;
  take_requests(id, connection);
  return flush(connection);
}

bool AdminSocket::read_some(Connection& connection) {
  char buffer[16384];
  const auto count = ::recv(connection.socket.get(), buffer, sizeof buffer, 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  connection.decoder.feed({buffer, static_cast<std::size_t>(count)});
  return true;
}

void AdminSocket::take_requests(std::uint64_t id, Connection& connection) {
  try {
    while (!connection.busy && !connection.closing) {
      const auto text = connection.decoder.next();
      if (!text) return;
      connection.busy = true;
      handler_(id, connection.by, json::parse(*text));
    }
  } catch (const ChannelError& problem) {
    connection.closing = true;
    answer(id, {{"ok", false}, {"error", problem.what()}});
  } catch (const json::exception&) {
    connection.closing = true;
    answer(id,
           {{"ok", false}, {"error", "the request is not JSON of the form that it should have"}});
  }
}

void AdminSocket::answer(std::uint64_t id, const json& text) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto& connection = found->second;
  connection.busy = false;
  auto encoded = text_of(text);
  if (encoded.size() > admin_frame_limit) {
    encoded =
        text_of({{"ok", false}, {"error", "the answer is larger than 1 MiB: ask for one pool"}});
  }
  connection.out += frame(encoded, admin_frame_limit);
}

bool AdminSocket::flush(Connection& connection) {
  while (!connection.out.empty()) {
    const auto count = ::send(connection.socket.get(), connection.out.data(), connection.out.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    connection.out.erase(0, static_cast<std::size_t>(count));
  }
  return !connection.closing;
}

std::set<uid_t> admin_user_ids(const std::vector<std::string>& names) {
  std::set<uid_t> ids;
  for (const auto& name : names) {
    const auto* user = ::getpwnam(name.c_str());
    if (user == nullptr) throw std::runtime_error("admin_users: there is no user " + name);
    ids.insert(user->pw_uid);
  }
  return ids;
}

}  // namespace keyd
