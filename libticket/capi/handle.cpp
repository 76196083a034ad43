#include "capi/handle.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <new>
#include <string>
#include <system_error>

namespace ticket::capi {

namespace {

constexpr std::chrono::milliseconds longest_sleep{250};

// The application's signals are the application's: none is delivered to our
// thread, which inherits the mask of the one that makes it.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

std::chrono::milliseconds sleep_before(sys_seconds next, Moment now) {
  const std::chrono::milliseconds left = next - now.latest;
  return std::clamp(left, std::chrono::milliseconds(10), longest_sleep);
}

}  // namespace

Moment CallbackClock::now() const {
  std::int64_t steady = 0, wall = 0;
  callback_(user_, &steady, &wall);
  return Moment(sys_seconds(seconds(steady)), sys_seconds(seconds(wall)));
}

Moment FollowingClock::now() const {
  const Moment given = clock_->now();
  auto ahead = ahead_.load(std::memory_order_relaxed);
  if (given.apart - ahead > tolerance_) {
    const bool first = ahead_.compare_exchange_strong(ahead, given.apart);
    if (first) told_(given.apart - ahead);
    ahead = given.apart;
  }
  return Moment(given.steady + ahead, given.steady + given.apart);
}

Tender::Tender(ring::LiveRing& ring)
    : ring_(ring), maker_(::getpid()), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
  const AllSignalsBlocked blocked;
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

Tender::~Tender() {
  if (::getpid() != maker_) {
    // The eventfd is shared: the parent would wake for ever. And the handle is that of
    // a thread that is not here, so not even detach() may have it: it is left behind.
    alignas(std::jthread) static std::byte left_behind[sizeof(std::jthread)];
    new (left_behind) std::jthread(std::move(thread_));  // nobody ever ends it
    return;
  }
  thread_.request_stop();
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Tender::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const Moment now = ring_.now();
    sys_seconds next = now.latest;
    try {
      next = ring_.tend(now);
    } catch (const std::exception& failure) {
      ring_.log(TKT_LOG_ERROR, std::string("tending the ring failed: ") + failure.what());
    }
    pollfd wake{.fd = wake_.get(), .events = POLLIN, .revents = 0};
    ::poll(&wake, 1, static_cast<int>(sleep_before(next, now).count()));
  }
}

}  // namespace ticket::capi
