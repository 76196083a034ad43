#include "redeem/claims_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace samples {

using namespace ticket;
using Verdict = wire::ClaimAnswer::Verdict;

Verdict Record::claim(const wire::Claim& claim) {
  const std::lock_guard guard(mutex_);
  const auto [place, first] = spent_.try_emplace(claim.location, claim.id);
  return first || place->second == claim.id ? Verdict::fresh : Verdict::replay;
}

std::size_t Record::size() const {
  const std::lock_guard guard(mutex_);
  return spent_.size();
}

ClaimsServer::ClaimsServer(std::filesystem::path path, Record& record)
    : path_(std::move(path)), record_(record) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.native().size() >= sizeof(address.sun_path)) throw std::runtime_error("path too long");
  std::ranges::copy(path_.native(), address.sun_path);
  unlink(path_.c_str());
  listener_ = ring::Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* at = reinterpret_cast<const sockaddr*>(&address);
  if (!listener_ || bind(listener_.get(), at, sizeof(address)) != 0 ||
      chmod(path_.c_str(), 0666) != 0 || listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("no claims socket at " + path_.string());
  }
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ClaimsServer::~ClaimsServer() {
  thread_.request_stop();
  thread_.join();
  unlink(path_.c_str());
}

void ClaimsServer::run(std::stop_token stop) {
  std::vector<Client> clients;
  while (!stop.stop_requested()) {
    std::vector<pollfd> wait{{listener_.get(), POLLIN, 0}};
    for (const auto& client : clients) wait.push_back({client.socket.get(), POLLIN, 0});
    const auto found = poll(wait.data(), wait.size(), mood_ == Mood::reversed ? 30 : 5);
    if (found == 0) std::ranges::for_each(clients, [this](Client& client) { flush(client); });
    if (found <= 0) continue;
    for (std::size_t i = clients.size(); i > 0; --i) {
      if (wait[i].revents != 0 && !serve(clients[i - 1])) {
        clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
    }
    if (wait[0].revents == 0) continue;
    ring::Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    ++connections_;
    clients.push_back({std::move(socket), {}, {}});
  }
}

// False when the connection is over.
bool ClaimsServer::serve(Client& client) {
  std::byte bytes[4096];
  const auto size = recv(client.socket.get(), bytes, sizeof(bytes), 0);
  if (size <= 0) return false;
  client.in.insert(client.in.end(), bytes, bytes + size);
  const Mood mood = mood_;
  std::size_t done = 0;
  for (; client.in.size() - done >= wire::claim_size; done += wire::claim_size) {
    const auto claim = wire::parse_claim(BytesView(client.in).subspan(done, wire::claim_size));
    ++asked_;
    if (mood == Mood::silent) continue;
    const auto verdict = mood == Mood::unknowing ? Verdict::unknown : record_.claim(*claim);
    if (mood == Mood::fickle) return false;
    client.held.push_back({claim->number, verdict});
    if (mood == Mood::garbled) client.held.back().verdict = static_cast<Verdict>(7);
    if (mood == Mood::confused) ++client.held.back().number;
  }
  client.in.erase(client.in.begin(), client.in.begin() + static_cast<std::ptrdiff_t>(done));
  if (mood != Mood::reversed) flush(client);
  return true;
}

void ClaimsServer::flush(Client& client) {
  for (auto answer = client.held.rbegin(); answer != client.held.rend(); ++answer) {
    const auto bytes = wire::write_claim_answer(*answer);
    // in two pieces: who reads must put them together
    send(client.socket.get(), bytes.data(), 2, MSG_NOSIGNAL);
    send(client.socket.get(), bytes.data() + 2, bytes.size() - 2, MSG_NOSIGNAL);
  }
  client.held.clear();
}

}  // namespace samples
