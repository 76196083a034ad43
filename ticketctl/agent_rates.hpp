// What the servers of a host do, by its agent's metrics (docs/metrics.md).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "samples.hpp"

namespace ticketctl {

// One pool at one host, at one moment.
struct PoolCounts {
  double sealed = 0, resumed = 0;
  std::map<std::string, double> refused;  // by reason
  unsigned sealing_epoch = 0;             // 0 = none seals
  std::string state;                      // ok, stretched, stopped, none
};

// By pool. Empty when the samples are not an agent's.
std::map<std::string, PoolCounts> read_counts(const std::vector<Sample>& samples);

// Per second.
struct PoolRates {
  double sealed = 0, resumed = 0;
  std::map<std::string, double> refused;
};

// A counter that fell began anew: what it shows is all that came since.
PoolRates rates_between(const PoolCounts& before, const PoolCounts& after,
                        std::chrono::duration<double> time);

}  // namespace ticketctl
