// Things that are costly to make and that only one thread may use at a time, such
// as OpenSSL's contexts. They belong to a key; threads borrow them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace ticket::crypto {

// Threads counted as they come, so that those that run at once seldom share.
std::size_t thread_number();

// What a thread kept for itself would outlive its key, in idle threads and in forked
// children; what is lent goes when the lender goes. Shared between threads; takes no
// lock. Its list only grows: one of each for every thread that asked at the same time.
template <class Thing>
class Lender {
  struct alignas(64) Item {
    explicit Item(Thing made) : thing(std::move(made)) {}
    std::atomic<bool> lent{true};
    Thing thing;
    Item* next = nullptr;
  };

 public:
  Lender() = default;
  Lender(const Lender&) = delete;
  Lender& operator=(const Lender&) = delete;
  ~Lender() {
    for (auto& head : heads_) {
      for (auto* item = head.load(); item != nullptr;) {
        const std::unique_ptr<Item> last(item);
        item = item->next;
      }
    }
  }

  // One of them for a scope.
  class Loan {
   public:
    explicit Loan(Item* item) : item_(item) {}
    ~Loan() { item_->lent.store(false, std::memory_order_release); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    Thing* operator->() const { return &item_->thing; }

   private:
    Item* item_;
  };

  // `make` makes one more when all are lent; what it throws passes.
  template <class Make>
  Loan borrow(Make make) const {
    auto& head = heads_[thread_number() % heads_.size()];
    for (auto* item = head.load(std::memory_order_acquire); item != nullptr; item = item->next) {
      if (!item->lent.exchange(true, std::memory_order_acquire)) return Loan(item);
    }
    auto item = std::make_unique<Item>(make());
    item->next = head.load();
    while (!head.compare_exchange_weak(item->next, item.get())) {
    }
    return Loan(item.release());
  }

 private:
  mutable std::array<std::atomic<Item*>, 16> heads_{};  // a list for each group of threads
};

}  // namespace ticket::crypto
