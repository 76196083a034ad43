#include "side_by_side.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

namespace ticketctl {

namespace {

class Crew {
 public:
  Crew(const std::vector<Job>& jobs, const std::function<void(std::size_t, std::size_t)>& progress)
      : jobs_(jobs), progress_(progress) {
    for (const auto& job : jobs) waiting_.push_back(&job);
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!waiting_.empty()) {
      const auto free = std::ranges::find_if(
          waiting_, [this](const Job* job) { return busy_[job->server] < most_at_one_server; });
      if (free == waiting_.end()) {
        changed_.wait(lock);
        continue;
      }
      const auto* job = *free;
      waiting_.erase(free);
      ++busy_[job->server];
      lock.unlock();
      auto thrown = attempt(*job);
      lock.lock();
      --busy_[job->server];
      if (thrown && !thrown_) thrown_ = thrown;
      progress_(++done_, jobs_.size());
      changed_.notify_all();
    }
  }

  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  static std::exception_ptr attempt(const Job& job) {
    try {
      job.run();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  const std::vector<Job>& jobs_;
  const std::function<void(std::size_t, std::size_t)>& progress_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const Job*> waiting_;
  std::map<std::size_t, unsigned> busy_;
  std::size_t done_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace

void run_side_by_side(const std::vector<Job>& jobs,
                      const std::function<void(std::size_t, std::size_t)>& progress) {
  Crew crew(jobs, progress);
  {
    std::vector<std::jthread> threads;
    const auto count = std::min<std::size_t>(most_connections, jobs.size());
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&crew] { crew.work(); });
  }
  crew.rethrow();
}

}  // namespace ticketctl
