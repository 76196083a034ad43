#include "base/at_fork.hpp"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace ticket {

struct Forking {
  std::mutex mutex;
  std::vector<AtFork*> all;

  static Forking& instance() {
    static Forking* forking = [] {
      pthread_atfork(before, in_parent, in_child);
      return new Forking;  // outlives whatever else ends at exit
    }();
    return *forking;
  }
  static void before() {
    instance().mutex.lock();
    for (const auto* one : instance().all) one->before_();
  }
  static void after(bool in_child) {
    auto& all = instance().all;
    std::for_each(all.rbegin(), all.rend(), [=](const AtFork* one) { one->after_(in_child); });
    instance().mutex.unlock();
  }
  static void in_parent() { after(false); }
  static void in_child() { after(true); }
};

AtFork::AtFork(Before before, After after) : before_(std::move(before)), after_(std::move(after)) {
  auto& forking = Forking::instance();
  const std::lock_guard guard(forking.mutex);
  forking.all.push_back(this);
}

AtFork::~AtFork() {
  auto& forking = Forking::instance();
  const std::lock_guard guard(forking.mutex);
  std::erase(forking.all, this);
}

}  // namespace ticket
