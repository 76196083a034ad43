#include "redeem/gate.hpp"

#include <sodium.h>

#include <algorithm>
#include <stdexcept>

#include "redeem/tables.hpp"

namespace ticket::redeem {

namespace fs = std::filesystem;
using replay::Table;
using replay::TableState;
using token::TokenType;

namespace {

Checked<token::TokenTypes> types_of(const wire::TokenBlock& block) {
  if (block.ristretto_type == 0) return token::TokenTypes();
  if (block.ristretto_type == token::TokenTypes::blind_rsa_code) {
    return reject(Rejection::malformed);
  }
  return token::TokenTypes(block.ristretto_type);
}

Checked<std::vector<token::RedeemerKey>> keys_of(const wire::TokenBlockEpoch& epoch) {
  std::vector<token::RedeemerKey> keys;
  if (!epoch.blind_rsa.empty()) {
    const auto key = TRY(token::parse_token_key(TokenType::blind_rsa, epoch.blind_rsa));
    keys.push_back(TRY(token::RedeemerKey::blind_rsa(key)));
  }
  if (!epoch.ristretto.empty()) {
    keys.push_back(TRY(token::RedeemerKey::ristretto(epoch.ristretto)));
  }
  return keys;
}

// Epochs with a challenge in common would give one token two places to be spent at.
bool distinct(const std::vector<wire::TokenBlockEpoch>& epochs) {
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (std::ranges::equal(epochs[i].id, epochs[k].id) ||
          std::ranges::equal(epochs[i].context, epochs[k].context)) {
        return false;
      }
    }
  }
  return true;
}

std::vector<std::string> names_in(std::string_view origin_info) {
  const token::Challenge challenge{{}, {}, {}, std::string(origin_info)};
  const auto names = challenge.origins();
  return {names.begin(), names.end()};
}

replay::ClaimId draw_id() {
  replay::ClaimId id;
  randombytes_buf(id.data(), id.size());
  return id;
}

}  // namespace

Checked<std::shared_ptr<const Gate::Epoch>> Gate::epoch_of(const wire::TokenBlock& block,
                                                           const wire::TokenBlockEpoch& from,
                                                           const fs::path& folder) {
  const auto types = TRY(types_of(block));
  token::RedeemerEpoch epoch{
      from.id, from.issues_from, from.redeems_until, {}, {}, crypto::HmacSha256(from.location_key)};
  epoch.keys = TRY(keys_of(from));
  std::vector<token::HeaderChallenge> challenges;
  for (const auto& key : epoch.keys) {
    const auto& half = key.public_key();
    auto bytes = TRY(token::write_challenge(
        {half.type, std::string(block.issuer), from.context, std::string(block.origin_info)},
        types));
    challenges.push_back({bytes, half.bytes, std::nullopt});
    epoch.challenges.push_back(std::move(bytes));
  }
  std::vector<token::RedeemerEpoch> alone;
  alone.push_back(std::move(epoch));
  return std::shared_ptr<const Epoch>(new Epoch{from.number,
                                                table_path(folder, from),
                                                {from.id, from.issues_from},
                                                from.issues_until,
                                                from.redeems_until,
                                                std::move(challenges),
                                                token::Redeemer(types, std::move(alone))});
}

Gate::Gate(const wire::TokenBlock& block, std::uint16_t member)
    : origins_(names_in(block.origin_info)),
      shared_(block.record == wire::TokenRecord::redis),
      member_(member),
      redeemer_(block.redeemer) {}

Checked<std::unique_ptr<Gate>> Gate::make(const wire::TokenBlock& block, std::uint16_t member,
                                          fs::path folder, Moment now, const Gate* before) {
  if (!distinct(block.epochs)) return reject(Rejection::malformed);
  std::unique_ptr<Gate> gate(new Gate(block, member));
  const auto known = before == nullptr ? std::make_shared<const Epochs>() : before->epochs();
  Epochs epochs;
  for (auto from = block.epochs.rbegin(); from != block.epochs.rend(); ++from) {
    // one that ends before it begins was ended so, and never redeems
    if (now.latest >= from->redeems_until || from->redeems_until <= from->issues_from) continue;
    Opened opened{TRY(epoch_of(block, *from, folder)), nullptr};
    for (const auto& other : *known) {
      if (other.epoch->of.id == opened.epoch->of.id && other.epoch->path == opened.epoch->path &&
          other.epoch->of.begins == opened.epoch->of.begins) {
        opened.table = other.table;
      }
    }
    epochs.push_back(std::move(opened));
  }
  gate->publish(std::move(epochs));
  gate->tend(now);
  return gate;
}

std::shared_ptr<const Gate::Epochs> Gate::epochs() const {
  const std::lock_guard guard(mutex_);
  return epochs_;
}

// The old ones, and their keys with them, go with whoever looks at them last.
void Gate::publish(Epochs epochs) {
  auto fresh = std::make_shared<const Epochs>(std::move(epochs));
  const std::lock_guard guard(mutex_);
  epochs_.swap(fresh);
}

// ---- a token

Answer Gate::check(std::string_view authorization, std::string_view origin, Moment now) const {
  if (authorization.empty()) return {Outcome::missing, {}};
  const auto token = token::parse_authorization(authorization);
  if (token) return check_token(*token, origin, now);
  // another scheme's credentials are for somebody else
  const bool other = token.error() == Rejection::unsupported;
  return {other ? Outcome::missing : Outcome::malformed, {}};
}

Answer Gate::check_token(BytesView token, std::string_view origin, Moment now) const {
  const auto epochs = this->epochs();
  for (const auto& opened : *epochs) {
    const auto prospect = opened.epoch->redeemer.look(token, origin, now);
    if (prospect) return decide(opened, *prospect);
    // of another epoch, perhaps: only its own says anything else
    if (prospect.error() != Rejection::audience) return {outcome_of(prospect.error()), {}};
  }
  return {Outcome::wrong_audience, {}};
}

Answer Gate::decide(const Opened& in, const token::Prospect& prospect) const {
  auto* table = in.table.get();
  const bool records = shared_ || (table != nullptr && member_ == redeemer_);
  if (!records) return {Outcome::unknown, {}};
  if (table != nullptr && table->holds(prospect.location)) return {Outcome::replay, {}};
  if (!token::Redeemer::verify(prospect)) return {Outcome::invalid, {}};
  const Claim claim{in.epoch->of.id, prospect.location, draw_id()};
  if (shared_) return {Outcome::unknown, claim};
  return {outcome_of(table->claim(claim.location, claim.id)), {}};
}

Outcome Gate::settle(const Claim& claim, replay::Verdict verdict) const {
  if (verdict != replay::Verdict::unknown) {
    if (const auto noted = table(claim.epoch)) noted->claim(claim.location, claim.id);
  }
  return outcome_of(verdict);
}

std::shared_ptr<Table> Gate::table(const replay::EpochId& epoch) const {
  for (const auto& opened : *epochs()) {
    if (opened.epoch->of.id == epoch) return opened.table;
  }
  return nullptr;
}

// ---- time

void Gate::tend(Moment now) {
  const auto before = epochs();
  Epochs after;
  bool changed = false;
  for (const auto& opened : *before) {
    if (now.latest >= opened.epoch->redeems_until) {
      changed = true;
      continue;
    }
    after.push_back(opened);
    auto& of = after.back();
    if (of.table && of.table->tend(now) != TableState::replaced) continue;
    of = find_table(of, now);
    changed = changed || of.table != opened.table || of.why != opened.why;
  }
  if (changed) publish(std::move(after));
}

// A file that took the place of one is judged by itself: made in time, nothing was spent in
// either before; made later, nothing is fresh in it.
Gate::Opened Gate::find_table(Opened of, Moment now) {
  try {
    auto found = Table::find(of.epoch->path, of.epoch->of, now);
    of.table = found ? std::make_shared<Table>(std::move(*found)) : nullptr;
    of.why = found ? ""
                   : "replay table " + of.epoch->path.string() +
                         " is not there: the host's agent makes it, is it running?";
  } catch (const std::runtime_error& failure) {
    of.table = nullptr;
    of.why = failure.what();
  }
  return of;
}

// ---- what is said

bool Gate::knows(std::string_view origin) const {
  return origins_.empty() || std::ranges::find(origins_, origin) != origins_.end();
}

std::string Gate::challenge(std::string_view origin, Moment now) const {
  if (!knows(origin)) return {};
  std::vector<token::HeaderChallenge> challenges;
  for (const auto& opened : *epochs()) {
    const auto& epoch = *opened.epoch;
    if (now.steady < epoch.of.begins || now.latest >= epoch.issues_until) continue;
    for (auto challenge : epoch.challenges) {
      challenge.max_age = epoch.redeems_until - now.latest;
      challenges.push_back(std::move(challenge));
    }
  }
  return token::write_authenticate(challenges);
}

namespace {

std::string of_epoch(std::uint32_t number, const std::string& what) {
  return "token epoch " + std::to_string(number) + ": " + what;
}

}  // namespace

std::string Gate::trouble(Moment now) const {
  if (!shared_ && member_ != redeemer_) {
    return "tokens are redeemed by member " + std::to_string(redeemer_) +
           " alone, whose table is the record; this host is member " + std::to_string(member_);
  }
  bool redeems = false, issues = false;
  for (const auto& opened : *epochs()) {
    const auto& epoch = *opened.epoch;
    if (now.steady < epoch.of.begins) continue;
    redeems = true;
    issues = issues || now.latest < epoch.issues_until;
    if (shared_) continue;
    if (!opened.table) return of_epoch(epoch.number, opened.why);
    const auto state = opened.table->state();
    if (state != TableState::ok) {
      return of_epoch(epoch.number,
                      "replay table " + epoch.path.string() + ": " + replay::to_text(state));
    }
  }
  if (!redeems) return "no epoch of tokens has begun, or all are over";
  return issues ? "" : "no epoch of tokens issues: clients are given no challenge";
}

}  // namespace ticket::redeem
