#include "capi/claims_link.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace ticket::capi {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t most_idle = 16;

// Whole milliseconds, rounded up, so that a wait does not end just before its time.
int left_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max(left, milliseconds(0)).count());
}

ring::Fd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& name = path.native();
  if (name.size() >= sizeof(address.sun_path)) return {};
  std::copy(name.begin(), name.end(), address.sun_path);
  ring::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (!socket || ::connect(socket.get(), to, sizeof(address)) != 0) return {};
  return socket;
}

bool ready(int socket, short events, Clock::time_point deadline) {
  pollfd wait{.fd = socket, .events = events, .revents = 0};
  int found = 0;
  do {
    found = ::poll(&wait, 1, left_until(deadline));
  } while (found < 0 && errno == EINTR);
  return found > 0;
}

// Moves bytes until all went or came; false when the connection or the time is over.
template <class Move>
bool move_all(int socket, short events, std::size_t size, Clock::time_point deadline, Move move) {
  for (std::size_t moved = 0; moved < size;) {
    if (!ready(socket, events, deadline)) return false;
    const auto step = move(moved);
    if (step > 0) {
      moved += static_cast<std::size_t>(step);
    } else if (step == 0 || (errno != EINTR && errno != EAGAIN)) {
      return false;
    }
  }
  return true;
}

std::optional<wire::ClaimAnswer> exchange(int socket, const wire::Claim& claim,
                                          Clock::time_point deadline) {
  const auto out = wire::write_claim(claim);
  ByteArray<wire::claim_answer_size> in;
  const bool sent = move_all(socket, POLLOUT, out.size(), deadline, [&](std::size_t done) {
    return ::send(socket, out.data() + done, out.size() - done, MSG_NOSIGNAL);
  });
  const bool came = sent && move_all(socket, POLLIN, in.size(), deadline, [&](std::size_t done) {
                      return ::recv(socket, in.data() + done, in.size() - done, 0);
                    });
  if (!came) return std::nullopt;
  const auto answer = wire::parse_claim_answer(in);
  if (!answer || answer->number != claim.number) return std::nullopt;
  return *answer;
}

}  // namespace

// A connection that was kept may be one of an agent that is gone since: then another is
// made, at once. Asking twice is asking once, since it is the same claim.
replay::Verdict ClaimsLink::ask(const wire::Claim& claim) {
  const auto deadline = Clock::now() + timeout_;
  for (auto kept = take(); kept; kept = take()) {
    if (const auto answer = exchange(kept.get(), claim, deadline)) {
      keep(std::move(kept));
      return redeem::from_wire(answer->verdict);
    }
    if (left_until(deadline) == 0) return replay::Verdict::unknown;
  }
  auto fresh = connect_to(path_);
  const auto answer = fresh ? exchange(fresh.get(), claim, deadline) : std::nullopt;
  if (!answer) return replay::Verdict::unknown;
  keep(std::move(fresh));
  return redeem::from_wire(answer->verdict);
}

ring::Fd ClaimsLink::take() {
  const std::lock_guard guard(mutex_);
  if (idle_.empty()) return {};
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void ClaimsLink::keep(ring::Fd connection) {
  const std::lock_guard guard(mutex_);
  if (idle_.size() < most_idle) idle_.push_back(std::move(connection));
}

}  // namespace ticket::capi
