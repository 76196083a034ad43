// Who reads a shared object right now: a hazard pointer a thread, so that a
// writer can free what it replaced as soon as nobody looks, and not before.
//
// Readers take no lock and write only to their own cache line. The full fence
// that makes this sound is paid by the writer alone (membarrier(2), since Linux
// 4.14; readers fence themselves where it is missing).
#pragma once

#include <atomic>

namespace ticket::ring {

namespace detail {

struct alignas(64) PinRecord {
  std::atomic<const void*> pinned{nullptr};
  std::atomic<bool> taken{true};
  PinRecord* next = nullptr;
};

extern std::atomic<bool> writers_fence;  // membarrier works
extern thread_local PinRecord* this_thread [[gnu::tls_model("initial-exec")]];
PinRecord* enter_thread() noexcept;  // nullptr: no memory

}  // namespace detail

// The calling thread's one pin. Never nested; held for microseconds. nullptr, as of an
// empty one, in a thread that there is no memory to note: then unpin() does nothing.
template <class T>
const T* pin(const std::atomic<const T*>& shared) noexcept {
  auto* record = detail::this_thread;
  if (record == nullptr) [[unlikely]]
    if ((record = detail::enter_thread()) == nullptr) return nullptr;
  const T* object = shared.load(std::memory_order_acquire);
  for (;;) {
    if (detail::writers_fence.load(std::memory_order_relaxed)) [[likely]] {
      record->pinned.store(object, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      record->pinned.store(object, std::memory_order_seq_cst);
    }
    const T* again = shared.load(std::memory_order_seq_cst);
    if (again == object) [[likely]]
      return object;
    object = again;
  }
}

inline void unpin() noexcept {
  if (auto* record = detail::this_thread; record != nullptr) [[likely]]
    record->pinned.store(nullptr, std::memory_order_release);
}

// Waits until no thread has `object` pinned. It must have been replaced already
// (a seq_cst exchange), and the caller must not have it pinned.
void wait_until_unpinned(const void* object) noexcept;

}  // namespace ticket::ring
