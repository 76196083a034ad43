#include "agent_rates.hpp"

namespace ticketctl {

std::map<std::string, PoolCounts> read_counts(const std::vector<Sample>& samples) {
  std::map<std::string, PoolCounts> pools;
  for (const auto& sample : samples) {
    const auto pool = sample.label("pool");
    if (pool.empty()) continue;
    if (sample.name == "ticket_sealed_total") pools[pool].sealed += sample.value;
    if (sample.name == "ticket_resumed_total") pools[pool].resumed += sample.value;
    if (sample.name == "ticket_refused_total") {
      pools[pool].refused[sample.label("reason")] += sample.value;
    }
    if (sample.name == "ticket_ring_sealing_epoch" && sample.value >= 0 && sample.value < 4e9) {
      pools[pool].sealing_epoch = static_cast<unsigned>(sample.value);
    }
    if (sample.name == "ticket_ring_state" && sample.value == 1) {
      pools[pool].state = sample.label("state");
    }
  }
  // keyd's own metrics have pools too, and no ring
  std::erase_if(pools, [](const auto& pool) { return pool.second.state.empty(); });
  return pools;
}

namespace {

double rate(double before, double after, std::chrono::duration<double> time) {
  return (after < before ? after : after - before) / time.count();
}

}  // namespace

PoolRates rates_between(const PoolCounts& before, const PoolCounts& after,
                        std::chrono::duration<double> time) {
  PoolRates rates;
  if (time.count() <= 0) return rates;
  rates.sealed = rate(before.sealed, after.sealed, time);
  rates.resumed = rate(before.resumed, after.resumed, time);
  for (const auto& [reason, count] : after.refused) {
    const auto found = before.refused.find(reason);
    rates.refused[reason] = rate(found == before.refused.end() ? 0 : found->second, count, time);
  }
  return rates;
}

}  // namespace ticketctl
