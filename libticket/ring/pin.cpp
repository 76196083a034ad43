#include "ring/pin.hpp"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>

namespace ticket::ring {

namespace detail {

std::atomic<bool> writers_fence{false};
thread_local PinRecord* this_thread = nullptr;

namespace {

std::atomic<PinRecord*> records{nullptr};

long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

// In a forked child only the forking thread lives on.
void after_fork() {
  for (auto* record = records.load(); record != nullptr; record = record->next) {
    if (record != this_thread) {
      record->pinned.store(nullptr);
      record->taken.store(false);
    }
  }
}

struct Setup {
  Setup() {
    pthread_atfork(nullptr, nullptr, after_fork);
    writers_fence = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  }
};

// Records are never freed, only handed on: their number is that of the threads
// that ever lived at once.
PinRecord* take_record() {
  for (auto* record = records.load(); record != nullptr; record = record->next) {
    bool taken = false;
    if (record->taken.compare_exchange_strong(taken, true)) return record;
  }
  auto* record = new (std::nothrow) PinRecord;
  if (record == nullptr) return nullptr;
  record->next = records.load();
  while (!records.compare_exchange_weak(record->next, record)) {
  }
  return record;
}

struct LeaveThread {
  ~LeaveThread() {
    if (this_thread == nullptr) return;
    this_thread->pinned.store(nullptr);
    this_thread->taken.store(false);
    this_thread = nullptr;
  }
};

}  // namespace

PinRecord* enter_thread() noexcept {
  static const Setup setup;
  auto* record = take_record();
  if (record == nullptr) return nullptr;
  thread_local LeaveThread leave;
  static_cast<void>(leave);
  this_thread = record;
  return record;
}

}  // namespace detail

void wait_until_unpinned(const void* object) noexcept {
  if (detail::writers_fence) detail::membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  for (auto* record = detail::records.load(); record != nullptr; record = record->next) {
    while (record->pinned.load(std::memory_order_seq_cst) == object) sched_yield();
  }
}

}  // namespace ticket::ring
