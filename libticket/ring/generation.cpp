#include "ring/generation.hpp"

#include <algorithm>

#include "ring/rotation.hpp"

namespace ticket::ring {

namespace {

constexpr std::uint16_t only_member = 1;

std::uint32_t last_number(const std::vector<Epoch>& epochs) {
  std::uint32_t last = 0;
  for (const auto& epoch : epochs) last = std::max(last, epoch.number);
  return last;
}

}  // namespace

std::uint64_t next_generation(std::uint64_t last, Moment now) {
  const auto unix_milliseconds =
      static_cast<std::uint64_t>(now.latest.time_since_epoch().count()) * 1000;
  return std::max(last + 1, unix_milliseconds);
}

SecretBytes carry_over(const std::vector<Epoch>& before, const SecretBytes& secrets,
                       std::vector<Epoch>& epochs) {
  SecretBytes carried(epochs.size() * 32);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    if (epochs[i].burned) continue;
    const auto into = carried.fill().subspan(i * 32, 32);
    const auto old = std::ranges::find(before, epochs[i].number, &Epoch::number);
    if (old == before.end()) {
      randombytes_buf(epochs[i].id.data(), epochs[i].id.size());
      randombytes_buf(into.data(), into.size());
    } else {
      const auto at = static_cast<std::size_t>(old - before.begin());
      std::ranges::copy(secrets.expose().subspan(at * 32, 32), into.begin());
    }
  }
  return carried;
}

seconds tolerance_alone(const Policy& policy) {
  return std::min<seconds>(clock_tolerance, policy.lifetime / 2);
}

// Keys that were made under a clock that ran ahead come back to ours, each living as
// long as it did: else the one that is next would seal until then.
std::vector<Epoch> in_our_time(std::vector<Epoch> epochs, const Policy& policy, Moment now) {
  seconds ahead{0};
  for (const auto& epoch : epochs) ahead = std::max(ahead, epoch.made - now.steady);
  if (ahead <= tolerance_alone(policy)) return epochs;
  for (auto& epoch : epochs) {
    epoch.made -= ahead;
    epoch.seals_from -= ahead;
    epoch.seals_until -= ahead;
    epoch.opens_until -= ahead;
  }
  return epochs;
}

std::optional<Ring> next_ring(const Ring& ring, const Policy& policy, Moment now,
                              sys_seconds& next) {
  const auto epochs = in_our_time(ring.epochs, policy, now);
  auto plan = plan_rotation(epochs, last_number(epochs), policy, now, Readiness::alone);
  next = plan.next;
  if (!plan.changed && ring.policy == policy && epochs == ring.epochs) return std::nullopt;

  Ring after;
  after.pool = ring.pool;
  after.generation = next_generation(ring.generation, now);
  after.member = only_member;
  after.issued_at = now.steady;
  after.policy = policy;
  after.secrets = carry_over(ring.epochs, ring.secrets, plan.epochs);
  after.epochs = std::move(plan.epochs);
  after.not_after = now.steady;
  for (const auto& epoch : after.epochs) {
    after.not_after = std::max(after.not_after, epoch.opens_until);
  }
  return after;
}

}  // namespace ticket::ring
