#include "key_maker.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace keyd {

using namespace ticket;
using token::IssuerKey;

namespace {

// All of it is locked into memory: the usual 8 MiB would be too.
constexpr std::size_t stack_size = std::size_t{512} << 10;
constexpr std::chrono::seconds after_failure{5};

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace

KeyMaker::KeyMaker() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) fail(errno, "eventfd");
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_size);
  const int error = ::pthread_create(&thread_, &attributes, run, this);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) fail(error, "a thread for token keys");
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return running_; });
}

KeyMaker::~KeyMaker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  ::pthread_join(thread_, nullptr);
}

void KeyMaker::want(std::size_t keys) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = keys;
  }
  changed_.notify_all();
}

std::vector<IssuerKey> KeyMaker::take() {
  std::uint64_t rung = 0;
  // nothing rung: there are none
  if (::read(ready_.get(), &rung, sizeof rung) != sizeof rung) return {};
  const std::lock_guard lock(mutex_);
  wanted_ -= std::min(wanted_, keys_.size());
  return std::exchange(keys_, {});
}

void* KeyMaker::run(void* self) {
  static_cast<KeyMaker*>(self)->work();
  return nullptr;
}

void KeyMaker::work() {
  std::unique_lock lock(mutex_);
  running_ = true;
  changed_.notify_all();
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || keys_.size() < wanted_; });
    if (!stopping_) put(lock);
  }
}

// Makes one; the lock is open meanwhile.
void KeyMaker::put(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  try {
    auto key = IssuerKey::generate(token::TokenType::blind_rsa);
    lock.lock();
    keys_.push_back(std::move(key));
    ring();
  } catch (const std::exception&) {
    if (!lock) lock.lock();
    // OpenSSL had no memory or no entropy; who waits for the key says that it has none
    changed_.wait_for(lock, after_failure, [this] { return stopping_; });
  }
}

void KeyMaker::ring() const {
  constexpr std::uint64_t one = 1;
  // refused only where it was rung 2^64 times already
  [[maybe_unused]] const auto written = ::write(ready_.get(), &one, sizeof one);
}

}  // namespace keyd
