#include "authority_folder.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>

#include "ring/ring_file.hpp"
#include "state_key.hpp"

namespace faults {

namespace fs = std::filesystem;

namespace {

std::string tool(const char* name) { return (support::build_root() / name).string(); }

void must(const support::Outcome& done) {
  if (done.code != 0) throw std::runtime_error(done.output);
}

// As keyd does: behind connections that have ended, but no other listener.
bool may_listen(std::uint16_t port) {
  const ticket::ring::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

AuthorityFolder::AuthorityFolder(const Times& times) {
  must(support::run({tool("ticketctl/ticketctl"), "init", "--pool", "web", "--dir", path().string(),
                     "--listen", "127.0.0.1:" + std::to_string(port_), "--rotate-every",
                     times.rotate_every, "--lifetime", times.lifetime, "--publish-ahead",
                     times.publish_ahead, "--stretch", times.lifetime}));
}

fs::path AuthorityFolder::add_member(const std::string& name) const {
  must(
      support::run({tool("ticketctl/ticketctl"), "member", "add", name, "--pool", "web", "--dir",
                    path().string(), "--ring", (path() / "members" / name / "web.ring").string()}));
  return path() / "members" / name;
}

std::vector<std::string> AuthorityFolder::command() const {
  if (!support::wait_until([this] { return may_listen(port_); }, 20s)) {
    throw std::runtime_error("somebody listens on keyd's port");
  }
  return {tool("keyd/keyd"), "authority", "--config", config().string()};
}

std::optional<keyd::KeeperState> AuthorityFolder::state() const {
  if (!fs::exists(state_file())) return std::nullopt;
  const auto text = support::read_text(state_file());
  const auto bytes = ticket::as_bytes(text);
  const auto head = keyd::parse_state_head(bytes);
  if (!head) throw std::runtime_error("the state is torn");
  const auto key = keyd::load_state_key((path() / "state.key").string(), *head);
  auto state = keyd::open_state(key, bytes);
  if (!state) throw std::runtime_error("the state does not open");
  return std::move(*state);
}

support::Outcome AuthorityFolder::ticketctl(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), tool("ticketctl/ticketctl"));
  arguments.insert(arguments.end(), {"--socket", (path() / "keyd.sock").string()});
  return support::run(arguments);
}

void AuthorityFolder::replace_in_config(const std::string& from, const std::string& to) const {
  auto text = support::read_text(config());
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("keyd.toml has no " + from);
  support::write_text(config(), text.replace(at, from.size(), to));
}

bool says(const support::Process& process, const std::string& text,
          support::Milliseconds patience) {
  return support::wait_until([&] { return process.output().find(text) != std::string::npos; },
                             patience);
}

}  // namespace faults
