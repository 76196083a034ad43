#include "admin_client.hpp"

#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "text.hpp"

namespace ticketctl {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

CommandError unreachable(const std::string& what) { return {exit_unreachable, what}; }

std::string user_name() {
  const auto* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : "user " + std::to_string(geteuid());
}

std::string why_not_connected(const fs::path& path, int error) {
  const std::string start =
      "start it with `keyd authority --config keyd.toml`, or name its socket with --socket PATH";
  switch (error) {
    case ENOENT:
      return "no socket at " + path.string() + ". Is keyd running? If not, " + start;
    case ECONNREFUSED:
      return "nobody listens at " + path.string() + ": keyd has ended, or it is not its socket; " +
             start;
    case EACCES:
    case EPERM:
      return "you (" + user_name() + ") may not use " + path.string() +
             ": root, keyd's own user and the admin_users of keyd.toml may, where its folder lets "
             "them in";
    default:
      return "cannot connect to " + path.string() + ": " + std::strerror(error);
  }
}

class Connection {
 public:
  Connection(const fs::path& path, std::chrono::seconds patience) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto text = path.string();
    if (text.size() >= sizeof address.sun_path) {
      throw bad_input("the path of the socket is too long: " + text);
    }
    std::copy(text.begin(), text.end(), address.sun_path);
    socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{patience.count(), 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      const int error = errno;
      close(socket_);
      throw unreachable(why_not_connected(path, error));
    }
  }
  Connection(const Connection&) = delete;
  ~Connection() { close(socket_); }

  void send(std::string_view frame) {
    while (!frame.empty()) {
      const auto sent = ::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      // closed already: what it said before that is worth reading
      if (sent < 0 && errno == EPIPE) return;
      if (sent < 0) fail(errno);
      frame.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  std::string receive(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t done = 0; done < size;) {
      const auto got = recv(socket_, bytes.data() + done, size - done, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(errno);
      if (got == 0) fail(ECONNRESET);
      done += static_cast<std::size_t>(got);
    }
    return bytes;
  }

 private:
  [[noreturn]] void fail(int error) const {
    if (error == EAGAIN) {
      throw unreachable("keyd does not answer at " + path_.string() +
                        ": its log may say what it is busy with");
    }
    if (error == ECONNRESET || error == EPIPE) {
      throw unreachable("keyd closed the connection at " + path_.string() +
                        " without an answer: it has ended, or you (" + user_name() +
                        ") are none of its admin_users; its log says which");
    }
    throw unreachable("the connection to " + path_.string() + " broke: " + std::strerror(error));
  }

  fs::path path_;
  int socket_ = -1;
};

std::string frame_of(const std::string& body) {
  std::string frame;
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(body.size() >> shift & 0xff);
  return frame + body;
}

std::size_t length_of(std::string_view header) {
  std::size_t length = 0;
  for (const char c : header) length = length << 8 | static_cast<unsigned char>(c);
  return length;
}

}  // namespace

json ask_keyd(const fs::path& socket, const json& request, std::chrono::seconds patience) {
  Connection connection(socket, patience);
  connection.send(frame_of(request.dump()));
  const auto length = length_of(connection.receive(4));
  const auto strange = [&](const std::string& what) {
    return unreachable(socket.string() + " answers " + what + ": is that keyd's admin socket?");
  };
  if (length == 0 || length > max_frame) {
    throw strange("with a frame of " + std::to_string(length) + " bytes");
  }
  auto answer = json::parse(connection.receive(length), nullptr, false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    throw strange("with something else than a JSON object that says \"ok\"");
  }
  return answer;
}

namespace {

// Also when we may not look: connecting then says who may.
bool may_be_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) || error == std::errc::permission_denied;
}

// What keyd.toml says, or what ticketctl init writes when it cannot be read: who
// may use the socket need not be let into the file.
std::string configured_socket(const fs::path& config) {
  constexpr auto usual = "keyd.sock";
  try {
    return toml::parse_file(config.string())["authority"]["admin"].value_or(std::string(usual));
  } catch (const toml::parse_error&) {
    return usual;
  }
}

}  // namespace

fs::path found_socket(const std::vector<fs::path>& folders, const fs::path& otherwise) {
  std::string tried;
  for (const auto& folder : folders) {
    const auto config = folder / "keyd.toml";
    if (may_be_there(config)) return folder / configured_socket(config);
    tried += "no " + config.string() + ", ";
  }
  if (may_be_there(otherwise)) return otherwise;
  throw unreachable("there is " + tried + "and no socket at " + otherwise.string() +
                    ". Is keyd running here? Go to its folder, or name its socket with --socket "
                    "PATH or $TICKETCTL_SOCKET");
}

fs::path find_socket(const CommandLine& line) {
  if (line.has("socket")) return line.text("socket");
  if (const char* named = std::getenv("TICKETCTL_SOCKET"); named != nullptr && *named != '\0') {
    return named;
  }
  return found_socket({".", "/etc/keyd"}, "/run/keyd/keyd.sock");
}

void add_admin_options(CommandLine& line) {
  line.add()("socket", "keyd's admin socket", cxxopts::value<std::string>(), "PATH")(
      "json", "Print keyd's answer as it is");
}

namespace {

void refuse_no(const json& answer) {
  if (answer.at("ok").get<bool>()) return;
  const auto error = answer.value("error", json());
  throw CommandError(
      exit_no, "keyd says no: " +
                   (error.is_string() ? printable(error.get<std::string>()) : "without a reason"));
}

}  // namespace

json ask(const CommandLine& line, const json& request) {
  auto answer = ask_keyd(find_socket(line), request);
  if (line.flag("json")) std::cout << answer.dump(2, ' ', true) << std::endl;
  refuse_no(answer);
  return answer;
}

json ask_quietly(const CommandLine& line, const json& request) {
  auto answer = ask_keyd(find_socket(line), request);
  refuse_no(answer);
  return answer;
}

}  // namespace ticketctl
