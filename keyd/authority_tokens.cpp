// Token epochs: which there are, their keys, and what members, Redis and operators have
// to say about them.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "authority_draft.hpp"
#include "crypto/digest.hpp"
#include "log.hpp"
#include "token_notice.hpp"

namespace keyd {

using namespace ticket;
using token::IssuerKey;
using token::TokenType;

namespace {

constexpr auto everybody = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t reserve = 1;  // a fresh key, so that a lost record costs no half second

TokenPolicy policy_of(const TokensConfig& config) {
  return {config.issue_for, config.redeem_for, config.publish_ahead};
}

// Of the last byte of an id, which is all that a request says of its key.
std::byte truncated_id(BytesView token_key) { return crypto::sha256(token_key).back(); }

bool is_taken(const std::vector<TokenEpoch>& epochs, Bytes TokenEpoch::*key, std::byte id) {
  return std::ranges::any_of(epochs, [key, id](const TokenEpoch& epoch) {
    return !(epoch.*key).empty() && truncated_id(epoch.*key) == id;
  });
}

const TokenEpoch* named(const PoolState* state, const std::string& id) {
  if (state == nullptr) return nullptr;
  const auto& epochs = state->tokens.epochs;
  const auto found =
      std::ranges::find_if(epochs, [&id](const TokenEpoch& epoch) { return hex(epoch.id) == id; });
  return found == epochs.end() ? nullptr : &*found;
}

// The one that issues next, or has begun just now; 0 = it is still to be made.
std::uint32_t next_to_issue(const std::vector<TokenEpoch>& epochs) {
  std::uint32_t number = 0;
  for (const auto& epoch : epochs) {
    if (epoch.ended()) continue;
    number = epoch.number;
    if (!epoch.begun) break;
  }
  return number;
}

// Its private key is gone, whatever else the state says of the epoch.
bool signs_no_more(const TokenEpoch& epoch, const TokenSecrets& secrets) {
  return !epoch.blind_rsa.empty() && secrets.expose_blind_rsa().empty();
}
bool verifies_no_more(const TokenEpoch& epoch, const TokenSecrets& secrets) {
  return !epoch.ristretto.empty() && secrets.expose_ristretto().empty();
}

void note(AuditHead& audit, const char* event, const std::string& pool, const TokenEpoch& epoch,
          sys_seconds now, const char* why = nullptr) {
  nlohmann::json line = {{"event", event}, {"pool", pool}, {"epoch", epoch.number}};
  if (why != nullptr) line["why"] = why;
  add_audit_line(audit, std::move(line), now);
}

}  // namespace

// ---- what the front tells

void Authority::add_keys(std::vector<IssuerKey> keys, Moment now) {
  for (auto& key : keys) fresh_keys_.push_back(std::move(key));
  for (auto& [name, pool] : pools_) {
    if (pool.issuing.wants_keys) pool.next = now.steady;
  }
}

std::size_t Authority::keys_wanted() const {
  std::size_t wanted = 0;
  bool any = false;
  for (const auto& [name, pool] : pools_) {
    if (!pool.setup.config.tokens || !pool.setup.config.tokens->blind_rsa) continue;
    any = true;
    if (pool.issuing.wants_keys) ++wanted;
  }
  if (!any) return 0;
  // those that lie here may be none that fit: what is due gets others
  return std::max(wanted, reserve - std::min(reserve, fresh_keys_.size()));
}

void Authority::sentinel_made(const SentinelMade& answer, Moment now) {
  const auto pool = pools_.find(answer.pool);
  const auto* epoch = named(state_.pool(answer.pool), answer.epoch);
  if (pool == pools_.end() || epoch == nullptr) return;
  auto& issuing = pool->second.issuing;
  if (!answer.error.empty() && answer.error != issuing.sentinel_problem) {
    spdlog::error("pool {}: no sentinel for token epoch {}: {}", answer.pool, epoch->number,
                  answer.error);
  }
  issuing.sentinel_problem = answer.error;
  if (!answer.error.empty()) {
    // who asked in vain that it be watched asks again
    if (epoch->sentinel || epoch->begun) issuing.asked.erase(epoch->number);
    return;
  }
  if (epoch->sentinel) return;
  issuing.sentinels.insert(epoch->number);
  pool->second.next = now.steady;
}

void Authority::record_lost(const RecordLost& loss, Moment now) {
  const auto pool = pools_.find(loss.pool);
  const auto* epoch = named(state_.pool(loss.pool), loss.epoch);
  if (pool == pools_.end() || epoch == nullptr || epoch->ended()) return;
  auto& issuing = pool->second.issuing;
  if (!issuing.lost.insert(epoch->number).second) return;
  ++issuing.records_lost;
  issuing.sentinels.erase(epoch->number);
  spdlog::error("pool {}: the record of token epoch {} is lost: {}", loss.pool, epoch->number,
                loss.why);
  load_issuer(*state_.pool(loss.pool), pool->second, now);
  pool->second.next = now.steady;
}

// What the draft took account of is stored now.
void Authority::adopt_heard(const Draft& draft) {
  for (const auto& [name, heard] : draft.heard) {
    const auto found = pools_.find(name);
    if (found == pools_.end()) continue;
    auto& issuing = found->second.issuing;
    for (const auto number : heard.sentinels) issuing.sentinels.erase(number);
    for (const auto number : heard.lost) issuing.lost.erase(number);
    issuing.wants_keys = heard.wants_keys;
    if (!issuing.sentinels.empty() || !issuing.lost.empty()) found->second.next = draft.at;
  }
  std::erase_if(fresh_keys_, [&draft](const IssuerKey& key) {
    return draft.used_keys.contains(key.public_key().id);
  });
}

// ---- the draft

// Fresh keys that could be given to that many new epochs.
std::size_t Authority::count_keys(const Draft& draft, std::vector<TokenEpoch> epochs,
                                  const TokensConfig& config) const {
  if (!config.blind_rsa) return most_token_epochs;
  std::size_t count = 0;
  for (const auto& key : fresh_keys_) {
    const auto& half = key.public_key();
    const bool used = draft.used_keys.contains(half.id);
    if (used || is_taken(epochs, &TokenEpoch::blind_rsa, half.id.back())) continue;
    epochs.emplace_back().blind_rsa = half.bytes;
    ++count;
  }
  return count;
}

TokenOutlook Authority::token_outlook(const Draft& draft, const PoolState& state, const Pool& pool,
                                      Moment now) const {
  const auto& config = *pool.setup.config.tokens;
  TokenOutlook sight;
  sight.redis = config.redis.has_value();
  sight.holding = holding_;
  sight.rotate = draft.issuers_rotated.contains(state.name);
  sight.sentinels = pool.issuing.sentinels;
  sight.lost = pool.issuing.lost;

  const auto oldest = oldest_applied(state, pool, now);
  sight.applied = oldest.value_or(everybody);
  sight.holds = oldest.value_or(0);
  if (!sight.redis) {
    const auto seen = pool.sightings.find(config.redeemer);
    const bool known = redeemer_of(state, config) != 0 && seen != pool.sightings.end();
    sight.holds = known ? seen->second.applied : 0;
  }
  return sight;
}

void Authority::draft_tokens(Draft& draft, PoolState& state, const Pool& pool, Moment now) const {
  const auto& config = pool.setup.config.tokens;
  if (!config) return drop_tokens(draft, state);
  auto& tokens = state.tokens;
  auto sight = token_outlook(draft, state, pool, now);
  auto epochs = tokens.epochs;
  const auto record = record_of(state, *config);
  const bool renamed = record != tokens.record;
  const bool moved = renamed && tokens.record != crypto::Sha256{};
  const bool burned = draft.issuers_burned.contains(state.name);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    auto& epoch = epochs[i];
    // Its time was over by a clock that was set back since; that could not be stored, but its
    // keys are gone.
    const bool keyless = signs_no_more(epoch, tokens.secrets[i]);
    const bool over = verifies_no_more(epoch, tokens.secrets[i]) || (keyless && !epoch.begun);
    epoch.closed |= keyless;
    // nobody could record it so far: it is told to who can
    if (renamed && !moved && !epoch.begun) epoch.held = false, epoch.announced_in = 0;
    // What another member recorded nobody knows. In Redis what began shows whether this is
    // the same one: its sentinel is only looked for. What has yet to begin is replaced, lest
    // it be recorded in two places.
    const bool elsewhere = moved && (!epoch.begun || !config->redis);
    // of an older copy of the state: it may have begun since
    const bool doubtful = pool.overtaken && !epoch.begun;
    const bool exposed = draft.issuers_exposed.contains(state.name) && !epoch.ristretto.empty();
    // of a type that was not wanted when it was made; whose clients wait for the next epoch.
    // What there is goes on until that one can issue.
    const bool lacking = !epoch.ended() && missing_type(epoch, *config) != 0;
    const bool useless = lacking && !epoch.begun;
    sight.hasten |= lacking && epoch.begun && !epoch.closed;
    if (over || elsewhere || doubtful || exposed || burned || useless) {
      sight.cut.insert(epoch.number);
    }
  }
  sight.keys = count_keys(draft, epochs, *config);

  auto plan = plan_tokens(epochs, tokens.last_epoch, policy_of(*config), sight, now);
  draft.next_tokens[state.name] = plan.next;
  draft.heard[state.name] = {sight.sentinels, sight.lost, plan.wants_keys};
  draft.next_issuing[state.name] = next_to_issue(plan.epochs);  // also where nothing changes
  if (plan.epochs == tokens.epochs && !renamed) return;
  tokens.last_epoch = plan.last_number;
  tokens.record = record;
  adopt_tokens(draft, state, *config, sight, std::move(plan.epochs));
  draft.changed = true;
  if (plan.publish) draft.renewed.insert(state.name);
}

// A pool without tokens, or that nobody serves any more.
void Authority::drop_tokens(Draft& draft, PoolState& state) {
  if (state.tokens.epochs.empty()) return;
  for (const auto& epoch : state.tokens.epochs) {
    if (!epoch.ended()) {
      note(draft.state.audit, "token epoch ended", state.name, epoch, draft.at, "withdrawn");
    }
  }
  state.tokens.epochs.clear();
  state.tokens.secrets.clear();
  draft.changed = true;
}

void Authority::adopt_tokens(Draft& draft, PoolState& state, const TokensConfig& config,
                             const TokenOutlook& sight, std::vector<TokenEpoch> epochs) const {
  auto& tokens = state.tokens;
  auto& audit = draft.state.audit;
  std::vector<TokenSecrets> secrets;
  for (auto& epoch : epochs) {
    const auto old = std::ranges::find(tokens.epochs, epoch.number, &TokenEpoch::number);
    if (old == tokens.epochs.end()) {
      secrets.push_back(give_keys(draft, epoch, epochs, config));
      note(audit, "token epoch made", state.name, epoch, draft.at);
      continue;
    }
    const auto at = static_cast<std::size_t>(old - tokens.epochs.begin());
    secrets.push_back(tokens.secrets[at].kept_by(epoch));
    if (epoch.ended() && !old->ended()) {
      const bool early = draft.at < (old->begun ? old->redeems_until : old->issues_until);
      const auto* why = sight.lost.contains(epoch.number) ? "lost" : early ? "withdrawn" : "over";
      note(audit, "token epoch ended", state.name, epoch, draft.at, why);
    } else if (epoch.closed && !old->closed) {
      note(audit, "token epoch closed", state.name, epoch, draft.at);
    }
  }
  tokens.epochs = std::move(epochs);
  tokens.secrets = std::move(secrets);
}

// What a new epoch has of its own.
TokenSecrets Authority::give_keys(Draft& draft, TokenEpoch& epoch,
                                  const std::vector<TokenEpoch>& others,
                                  const TokensConfig& config) const {
  randombytes_buf(epoch.id.data(), epoch.id.size());
  randombytes_buf(epoch.context.data(), epoch.context.size());
  randombytes_buf(epoch.sentinel_value.data(), epoch.sentinel_value.size());
  epoch.capacity = config.capacity;
  SecretBytes blind_rsa, ristretto;
  if (config.blind_rsa) {
    const auto& key = fresh_key(draft, others);
    draft.used_keys.insert(key.public_key().id);
    epoch.blind_rsa = key.public_key().bytes;
    blind_rsa = key.secret();
  }
  if (config.ristretto) {
    auto key = IssuerKey::generate(TokenType::ristretto);
    while (is_taken(others, &TokenEpoch::ristretto, key.public_key().id.back())) {
      key = IssuerKey::generate(TokenType::ristretto);
    }
    epoch.ristretto = key.public_key().bytes;
    ristretto = key.secret();
  }
  return {Secret<32>::random().expose(), ristretto.expose(), blind_rsa.expose()};
}

// One that none of those epochs' could be mistaken for; count_keys() has found it.
const IssuerKey& Authority::fresh_key(const Draft& draft,
                                      const std::vector<TokenEpoch>& others) const {
  return *std::ranges::find_if(fresh_keys_, [&](const IssuerKey& key) {
    const auto& id = key.public_key().id;
    return !draft.used_keys.contains(id) && !is_taken(others, &TokenEpoch::blind_rsa, id.back());
  });
}

// The next draft sees that a key is gone (draft_tokens); until one is stored, a clock that was
// set back lets nothing issue without it. Returns whether an epoch is closed for that.
bool Authority::wipe_tokens(PoolState& state, Moment time, sys_seconds now) {
  auto& tokens = state.tokens;
  bool closed = false;
  for (std::size_t i = 0; i < tokens.epochs.size(); ++i) {
    auto over = tokens.epochs[i];
    over.closed |= time.latest >= over.issues_until;
    if (time.latest >= over.redeems_until) over.ended_at = time.latest;
    tokens.secrets[i] = tokens.secrets[i].kept_by(over);
    auto& epoch = tokens.epochs[i];
    const auto& left = tokens.secrets[i];
    const bool keyless = signs_no_more(epoch, left) || verifies_no_more(epoch, left);
    if (!keyless || !epoch.issues(time)) continue;
    epoch.closed = closed = true;
    note(state_.audit, "token epoch closed", state.name, epoch, now);
  }
  return closed;
}

// ---- orders

// What would come of an order to rotate, later: of an epoch that is to be made, once all hold it.
std::optional<TokenGap> Authority::gap_by_rotation(const Draft& draft, const PoolState& state,
                                                   Moment now) const {
  const auto& pool = pools_.at(state.name);
  const auto& config = *pool.setup.config.tokens;
  const auto& tokens = state.tokens;
  auto sight = token_outlook(draft, state, pool, now);
  sight.rotate = true;
  sight.keys = count_keys(draft, tokens.epochs, config);
  const auto policy = policy_of(config);
  auto plan = plan_tokens(tokens.epochs, tokens.last_epoch, policy, sight, now);
  if (plan.last_number != tokens.last_epoch) {
    plan.epochs.back().held = plan.epochs.back().sentinel = true;
    plan = plan_tokens(plan.epochs, plan.last_number, policy, sight, now);
  }
  return first_gap(plan.epochs, policy);
}

Authority::Outcome Authority::rotate_issuer(Draft& draft, const PoolState& state,
                                            const Order& order, Moment now) const {
  const auto refuse = [](std::string why) { return tl::unexpected<std::string>(std::move(why)); };
  const auto& config = pools_.at(state.name).setup.config.tokens;
  if (!config) return refuse("the pool " + state.name + " issues no tokens");
  if (order.burn_tokens) {
    // whatever the clock says, and whether or not another epoch can be had at once
    const auto count = std::ranges::count(state.tokens.epochs, false, &TokenEpoch::ended);
    spdlog::warn("pool {}: user {} burns {} token epochs", state.name, order.by, count);
    add_audit_line(
        draft.state.audit,
        {{"event", "tokens burned"}, {"pool", state.name}, {"epochs", count}, {"by", order.by}},
        draft.at);
    draft.issuers_burned.insert(state.name);
    draft.renewed.insert(state.name);
    return nlohmann::json{{"burned", count}};
  }
  if (auto problem = clock_problem(draft.state, now); !problem.empty()) return refuse(problem);
  const auto& epochs = state.tokens.epochs;
  const auto next = std::ranges::find_if(
      epochs, [](const TokenEpoch& epoch) { return !epoch.ended() && !epoch.begun; });
  if (next == epochs.end()) {
    if (epochs.size() == most_token_epochs) {
      return refuse(eight_stand(epochs, now));
    }
    if (count_keys(draft, epochs, *config) == 0) {
      return refuse("the next key is being made: try again in a few seconds");
    }
  } else if (config->redis ? !next->sentinel : !next->held) {
    return refuse("token epoch " + std::to_string(next->number) +
                  " cannot issue yet: " + waiting_for(*next, pools_.at(state.name)));
  }
  if (const auto gap = gap_by_rotation(draft, state, now)) {
    return refuse("issuing would stop in " + span_text(gap->from - now.steady) + " for " +
                  span_text(gap->until - gap->from) +
                  ": at most 8 token epochs stand at a time, and those of before are redeemed "
                  "until they end. Rotate later; `--burn` ends all at once");
  }
  spdlog::info("pool {}: user {} orders the next token epoch to issue", state.name, order.by);
  add_audit_line(draft.state.audit,
                 {{"event", "issuer rotation ordered"}, {"pool", state.name}, {"by", order.by}},
                 draft.at);
  draft.issuers_rotated.insert(state.name);
  return nlohmann::json::object();
}

}  // namespace keyd
