// Issuing: the keys that issue now, what the front is told of them, what operators see.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "authority.hpp"
#include "token_notice.hpp"

namespace keyd {

using namespace ticket;
using nlohmann::json;
using token::Form;
using token::TokenType;

namespace {

constexpr seconds asked_again{5};  // for a sentinel

std::int64_t unix_seconds(sys_seconds time) { return time.time_since_epoch().count(); }

const TokenEpoch* first_waiting(const PoolState& state) {
  const auto& epochs = state.tokens.epochs;
  const auto found = std::ranges::find_if(
      epochs, [](const TokenEpoch& epoch) { return !epoch.ended() && !epoch.begun; });
  return found == epochs.end() ? nullptr : &*found;
}

}  // namespace

// ---- after each change, and as time goes by

void Authority::tend_issuers(Moment now) {
  for (auto& [name, pool] : pools_) {
    const auto* state = state_.pool(name);
    if (state == nullptr) continue;
    load_issuer(*state, pool, now);
    if (!pool.setup.config.tokens) continue;
    ask_for_sentinels(*state, pool, now);
    tell_directory(*state, pool, now);
  }
}

// Private keys are in use as long as they issue, and not a second longer.
void Authority::load_issuer(const PoolState& state, Pool& pool, Moment now) const {
  auto& issuing = pool.issuing;
  const auto& config = pool.setup.config.tokens;
  PoolIssuing::Numbers epochs;
  for (const auto& epoch : state.tokens.epochs) {
    const bool lost = issuing.lost.contains(epoch.number);
    if (config && !lost && epoch.issues(now)) epochs.insert(epoch.number);
  }
  if (issuing.issuer && issuing.epochs == epochs) return;
  issuing.issuer.reset();
  issuing.epochs = std::move(epochs);
  if (issuing.epochs.empty()) return;

  token::Issuer issuer(token_types(*config));
  const auto add = [&issuer](TokenType type, BytesView secret) {
    auto key = secret.empty() ? reject(Rejection::no_key) : token::IssuerKey::load(type, secret);
    if (key) static_cast<void>(issuer.add(std::move(*key)));
  };
  for (std::size_t i = 0; i < state.tokens.epochs.size(); ++i) {
    if (!issuing.epochs.contains(state.tokens.epochs[i].number)) continue;
    const auto& secrets = state.tokens.secrets[i];
    if (config->blind_rsa) add(TokenType::blind_rsa, secrets.expose_blind_rsa());
    if (config->ristretto) add(TokenType::ristretto, secrets.expose_ristretto());
  }
  issuing.issuer = std::move(issuer);
}

// Until it stands; then once, so that a front that has just begun watches over it. Of what
// stood before, or may have issued, tokens may be spent: made anew, the sentinel would vouch
// for a record that has forgotten them. What the clock says does not matter.
void Authority::ask_for_sentinels(const PoolState& state, Pool& pool, Moment now) {
  auto& asked = pool.issuing.asked;
  const auto ask = [this, &state](const TokenEpoch& epoch, bool make, bool over) {
    publisher_.make_sentinel({state.name, hex(epoch.id), hex(epoch.sentinel_value), make,
                              unix_seconds(epoch.redeems_until), epoch.capacity, over});
  };
  for (const auto& epoch : state.tokens.epochs) {
    if (!pool.setup.config.tokens->redis) continue;
    if (epoch.ended()) {
      // also one that was not asked for since the configuration was read: the front watches it
      if (pool.issuing.over.insert(epoch.number).second) ask(epoch, false, true);
      asked.erase(epoch.number);
      continue;
    }
    const bool make =
        !epoch.begun && !epoch.sentinel && !pool.issuing.sentinels.contains(epoch.number);
    // an older copy of the state may not know that it has begun; where the record was lost
    // or moved it is to be replaced
    const bool replaced = pool.overtaken || !pool.issuing.lost.empty() ||
                          state.tokens.record != record_of(state, *pool.setup.config.tokens);
    if (make && replaced) continue;
    const auto last = asked.find(epoch.number);
    const bool told = last != asked.end();
    if (told && (!make || now.steady < last->second + asked_again)) continue;
    asked[epoch.number] = now.steady;
    ask(epoch, make, false);
  }
}

void Authority::tell_directory(const PoolState& state, Pool& pool, Moment now) {
  auto directory = token_directory(state, *pool.setup.config.tokens, now);
  directory.pool = state.name;
  auto& told = pool.issuing.directory;
  if (told && told->body == directory.body && told->changes_at == directory.changes_at) return;
  told = directory;
  publisher_.directory(std::move(directory));
}

// ---- a client's request

Issued Authority::issue(const Issue& request, Moment now) {
  // An epoch issues from its very second: the servers' challenges have named it from then on.
  if (next(now) <= now.steady) tend(now);
  const auto refuse = [&request](int status, std::string why) {
    return Issued{request.id, status, {}, std::move(why)};
  };
  const auto found = pools_.find(request.pool);
  const auto* state = state_.pool(request.pool);
  if (found == pools_.end() || state == nullptr || !found->second.setup.config.tokens) {
    return refuse(503, "no such issuer");
  }
  auto& pool = found->second;
  load_issuer(*state, pool, now);
  if (!pool.issuing.issuer) return refuse(503, "no key issues now");

  const auto bytes = from_base64url(request.request);
  if (!bytes) return refuse(422, "malformed");
  const auto form = request.batch ? Form::batch : Form::single;
  const auto parsed = token::parse_request(*bytes, form, token_types(*pool.setup.config.tokens));
  if (!parsed) return refuse(422, to_text(parsed.error()));
  Checked<Bytes> response = reject(Rejection::bad_key);
  try {
    response = pool.issuing.issuer->answer(*bytes, form);
  } catch (const std::exception& problem) {  // this client goes without, keyd goes on
    return refuse(503, std::string("the key failed: ") + problem.what());
  }
  if (!response) return refuse(422, to_text(response.error()));
  pool.issuing.issued[static_cast<std::size_t>(parsed->type)] += parsed->blinded.size();
  return {request.id, 200, base64url(*response), {}};
}

// ---- for operators

std::string Authority::waiting_for(const TokenEpoch& epoch, const Pool& pool) {
  const auto& config = *pool.setup.config.tokens;
  if (!config.redis && !epoch.held) {
    return config.redeemer + ", the redeemer, has not applied it";
  }
  if (!config.redis || epoch.sentinel) return {};
  const auto& problem = pool.issuing.sentinel_problem;
  return "its sentinel does not stand in Redis" + (problem.empty() ? "" : ": " + problem);
}

std::string Authority::eight_stand(const std::vector<TokenEpoch>& epochs, Moment now) {
  const auto first = std::ranges::min(epochs, {}, &TokenEpoch::redeems_until).redeems_until;
  return "8 token epochs stand already, the first ends in " + span_text(first - now.steady);
}

std::string Authority::issuing_problem(const PoolState& state, const Pool& pool, Moment now) {
  if (!pool.setup.config.tokens) return {};
  if (tokens_withheld(state)) return tokens_withheld_text;
  const auto& epochs = state.tokens.epochs;
  const auto issuing = std::ranges::find_if(epochs, [&](const TokenEpoch& epoch) {
    return epoch.issues(now) && !pool.issuing.lost.contains(epoch.number);
  });
  if (issuing != epochs.end()) {
    const auto type = missing_type(*issuing, *pool.setup.config.tokens);
    if (type == 0) return {};
    return fmt::format("token epoch {} has no key of type {:#06x}: the next one will",
                       issuing->number, type);
  }
  for (const auto& epoch : epochs) {
    if (epoch.closed || !epoch.began_after(now.steady)) continue;
    return fmt::format(
        "no token epoch issues: the clock was set back since token epoch {} began, "
        "which issues again in {}",
        epoch.number, ring::to_text(epoch.issues_from - now.steady));
  }
  const auto* next = first_waiting(state);
  if (next == nullptr && epochs.size() == most_token_epochs) {
    return "no token epoch issues: " + eight_stand(epochs, now);
  }
  if (next == nullptr) return "no token epoch issues: the key for the next one is being made";
  const auto which = "token epoch " + std::to_string(next->number);
  if (auto why = waiting_for(*next, pool); !why.empty()) {
    return "no token epoch issues: " + which + " waits, " + why;
  }
  return "no token epoch issues: " + which + " begins in " +
         ring::to_text(next->issues_from - now.steady);
}

json Authority::issuer_status(const std::string& pool, Moment now) const {
  const auto named = pools_.find(pool);
  if (!pool.empty() && named == pools_.end()) {
    return {{"ok", false}, {"error", "no pool is called '" + pool + "'"}};
  }
  if (!pool.empty() && !named->second.setup.config.tokens) {
    return {{"ok", false},
            {"error", "the pool " + pool + " issues no tokens: keyd.toml has no [pool.tokens]"}};
  }
  auto list = json::array();
  for (const auto& [name, known] : pools_) {
    if ((!pool.empty() && name != pool) || !known.setup.config.tokens) continue;
    PoolState nothing;
    nothing.name = name;
    const auto* state = state_.pool(name);
    list.push_back(describe_issuer(state == nullptr ? nothing : *state, known, now));
  }
  return {{"ok", true}, {"now", unix_seconds(now.steady)}, {"pools", std::move(list)}};
}

json Authority::describe_issuer(const PoolState& state, const Pool& pool, Moment now) const {
  const auto& config = *pool.setup.config.tokens;
  auto epochs = json::array();
  const auto notice = token_notice(state, config);
  for (std::size_t i = 0; i < state.tokens.epochs.size(); ++i) {
    const auto& epoch = state.tokens.epochs[i];
    auto keys = json::array();
    for (const auto& key : notice.epochs[i].keys) {
      keys.push_back({{"type", key.type}, {"id", hex(key.id)}});
    }
    epochs.push_back({{"number", epoch.number},
                      {"id", hex(epoch.id)},
                      {"state", epoch.state(now)},
                      {"made", unix_seconds(epoch.made)},
                      {"issues_from", unix_seconds(epoch.issues_from)},
                      {"issues_until", unix_seconds(epoch.issues_until)},
                      {"redeems_until", unix_seconds(epoch.redeems_until)},
                      {"capacity", epoch.capacity},
                      {"sentinel", epoch.sentinel},
                      {"keys", std::move(keys)}});
  }
  const auto& issued = pool.issuing.issued;
  return {{"pool", state.name},
          {"issuer", config.name},
          {"origins", notice.origins},
          {"record", config.redis ? "redis" : "table"},
          {"redeemer", config.redis ? "" : config.redeemer},
          {"capacity", config.capacity},
          {"budget", config.budget},
          {"budget_window", config.budget_window.count()},
          {"epochs", std::move(epochs)},
          {"issued", issued[0] + issued[1]},
          {"records_lost", pool.issuing.records_lost},
          {"problem", issuing_problem(state, pool, now)}};
}

}  // namespace keyd
