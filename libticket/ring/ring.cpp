#include "ring/ring.hpp"

#include <algorithm>
#include <set>

#include "wire/token_block.hpp"

namespace ticket::ring {

sys_seconds Ring::next_change(Moment now) const {
  auto next = sys_seconds::max();
  const auto consider = [&next](sys_seconds time, sys_seconds after) {
    if (time > after) next = std::min(next, time);
  };
  // what follows the steady clock comes when `latest` is as far ahead of it as now
  const auto ahead = now.latest - now.steady;
  for (const auto& epoch : epochs) {
    consider(epoch.seals_from + ahead, now.latest);
    consider(epoch.seals_until + ahead, now.latest);
    consider(epoch.seals_until + policy.stretch + ahead, now.latest);
    consider(epoch.opens_until, now.latest);
  }
  if (const auto block = wire::parse_token_block(tokens.expose())) {
    for (const auto& epoch : block->epochs) consider(epoch.redeems_until, now.latest);
  }
  return next;
}

Ring Ring::without_secrets() const {
  Ring copy;
  copy.pool = pool;
  copy.generation = generation;
  copy.member = member;
  copy.issued_at = issued_at;
  copy.not_after = not_after;
  copy.policy = policy;
  copy.epochs = epochs;
  copy.revocations = revocations;
  return copy;
}

Ring Ring::without_expired(Moment now) const {
  Ring kept = without_secrets();
  kept.epochs.clear();

  std::vector<std::size_t> living;
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    if (!epochs[i].burned && now.latest < epochs[i].opens_until) living.push_back(i);
  }
  kept.secrets = SecretBytes(living.size() * 32);
  for (std::size_t i = 0; i < living.size(); ++i) {
    kept.epochs.push_back(epochs[living[i]]);
    std::ranges::copy(secret(living[i]), kept.secrets.fill().subspan(i * 32).begin());
  }
  if (tokens.size() != 0) kept.tokens = wire::without_ended(tokens.expose(), now.latest);
  return kept;
}

std::optional<Rejection> Ring::objection(const wire::Attribution& origin, Moment now) const {
  if (now.latest >= origin.born + policy.lineage) return Rejection::lineage;
  // a minter's clock may run ahead by publish_ahead; further, and its lineage would
  // outlast the policy by as much
  if (origin.born > now.latest + policy.publish_ahead) return Rejection::lineage;
  for (const auto& revocation : revocations) {
    if (revocation.minter == origin.minter && revocation.from <= origin.sealed &&
        origin.sealed <= revocation.until) {
      return Rejection::revoked;
    }
  }
  return std::nullopt;
}

Checked<bool> check_keys(const Ring& ring) {
  if (ring.secrets.size() != ring.epochs.size() * 32) return reject(Rejection::bad_key);
  std::set<std::uint32_t> numbers;
  std::set<EpochId> ids;
  for (std::size_t i = 0; i < ring.epochs.size(); ++i) {
    const auto& epoch = ring.epochs[i];
    if (all_zero(ring.secret(i)) || all_zero(epoch.id) || epoch.number == 0 ||
        !numbers.insert(epoch.number).second || !ids.insert(epoch.id).second) {
      return reject(Rejection::bad_key);
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (sodium_memcmp(ring.secret(i).data(), ring.secret(other).data(), 32) == 0) {
        return reject(Rejection::bad_key);
      }
    }
  }
  return true;
}

}  // namespace ticket::ring
