// Jobs side by side, few at a time at any one server.
#pragma once

#include <functional>
#include <vector>

namespace ticketctl {

struct Job {
  std::size_t server = 0;
  std::function<void()> run;
};

constexpr unsigned most_connections = 16, most_at_one_server = 4;

// Runs them all and returns; `progress(done, of)` is called after each, by one thread
// at a time. What a job throws is thrown from here once the others have ended.
void run_side_by_side(const std::vector<Job>& jobs,
                      const std::function<void(std::size_t done, std::size_t of)>& progress);

}  // namespace ticketctl
