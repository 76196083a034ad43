// The agent's claims socket, for callers that wait.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <vector>

#include "redeem/outcome.hpp"
#include "ring/ring_file.hpp"

namespace ticket::capi {

// Shared between threads: a claim has a connection to itself while it waits, and
// connections are kept for the next.
class ClaimsLink {
 public:
  ClaimsLink(std::filesystem::path path, std::chrono::milliseconds timeout)
      : path_(std::move(path)), timeout_(timeout) {}

  // `unknown` when there is no answer in time.
  replay::Verdict ask(const wire::Claim& claim);

 private:
  ring::Fd take();
  void keep(ring::Fd connection);

  const std::filesystem::path path_;
  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::vector<ring::Fd> idle_;
};

}  // namespace ticket::capi
