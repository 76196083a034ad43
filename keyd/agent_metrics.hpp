// A server's agent as those who watch see it: /metrics and the status page
// (docs/metrics.md). No I/O but reading ring and counters files.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/checked.hpp"
#include "base/clock.hpp"
#include "feed_sight.hpp"
#include "ring/counters.hpp"
#include "ring/ring_file.hpp"
#include "ring/ring_state.hpp"
#include "token_sight.hpp"

namespace keyd {

// What was tried at one server of keyd since the configuration was read.
struct ServerTally {
  std::string server;  // "HOST:PORT"
  std::uint64_t connects = 0, failures = 0;
  ticket::sys_seconds last_answer;  // 0 = none yet
};

// A ring file as the servers of this host see it: by the clock, whoever is dead.
struct RingSight {
  ticket::ring::RingFileState file = ticket::ring::RingFileState::missing;
  ticket::ring::RingState state = ticket::ring::RingState::none;
  ticket::ring::Ring ring;  // without secrets; empty with RingState::none
  std::uint32_t sealing_epoch = 0;
  ticket::sys_seconds heartbeat;
};
RingSight look_at_ring(const std::filesystem::path& path, ticket::Moment now);

struct PoolSight {
  std::string pool;
  RingSight ring;
  bool enrolled = false;  // it holds a sealing key that keyd accepted
  std::uint64_t enrolments = 0, enrolments_refused = 0;
  std::map<ticket::Rejection, unsigned> refusals;  // of bundles
  std::vector<ServerTally> servers;
  ticket::ring::Counts counts{};  // of all processes of this host
};

struct AgentSight {
  std::vector<PoolSight> pools;
  ticket::sys_seconds started;
  ticket::seconds clock_apart{0};
  FeedSight feeds;
  std::vector<TokenSight> tokens;
};

std::string write_agent_metrics(const AgentSight& sight, ticket::Moment now);
std::string agent_page(const AgentSight& sight, ticket::Moment now);
// One line for systemctl status: "web: generation 17, ok".
std::string agent_summary(const std::vector<PoolSight>& pools);

}  // namespace keyd
