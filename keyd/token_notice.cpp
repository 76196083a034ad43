#include "token_notice.hpp"

#include <algorithm>

#include "token/directory.hpp"
#include "wire/token_block.hpp"

namespace keyd {

using namespace ticket;
using token::TokenTypes;

namespace {

// Relative to the directory: the issuer's listener answers it.
constexpr const char* request_uri = "/token-request";

std::string origin_info(const TokensConfig& config) {
  std::string names;
  for (const auto& origin : config.origins) names += (names.empty() ? "" : ",") + origin;
  return names;
}

// The public keys of an epoch that are still spoken, with their code points.
std::vector<token::DirectoryKey> keys_of(const TokenEpoch& epoch, const TokensConfig& config) {
  std::vector<token::DirectoryKey> keys;
  if (config.blind_rsa && !epoch.blind_rsa.empty()) {
    keys.push_back({TokenTypes::blind_rsa_code, epoch.blind_rsa, {}});
  }
  if (config.ristretto && !epoch.ristretto.empty()) {
    keys.push_back({config.ristretto_type, epoch.ristretto, {}});
  }
  return keys;
}

}  // namespace

TokenTypes token_types(const TokensConfig& config) {
  return config.ristretto ? TokenTypes(config.ristretto_type) : TokenTypes();
}

std::uint16_t redeemer_of(const PoolState& state, const TokensConfig& config) {
  const auto* member = config.redis ? nullptr : state.member(config.redeemer);
  return member == nullptr ? std::uint16_t{0} : member->number;
}

crypto::Sha256 record_of(const PoolState& state, const TokensConfig& config) {
  std::string name;
  if (config.redis) {
    name = "redis " + config.redis->host + " " + config.redis->port;
  } else if (const auto redeemer = redeemer_of(state, config); redeemer != 0) {
    name = "table " + std::to_string(redeemer);
  }
  return name.empty() ? crypto::Sha256{} : crypto::sha256(as_bytes(name));
}

std::uint16_t missing_type(const TokenEpoch& epoch, const TokensConfig& config) {
  if (config.blind_rsa && epoch.blind_rsa.empty()) return TokenTypes::blind_rsa_code;
  return config.ristretto && epoch.ristretto.empty() ? config.ristretto_type : std::uint16_t{0};
}

SecretBytes token_block(const PoolState& state, const TokensConfig& config) {
  const auto origins = origin_info(config);
  wire::TokenBlock block;
  block.issuer = config.name;
  block.origin_info = origins;
  block.ristretto_type = config.ristretto ? config.ristretto_type : std::uint16_t{0};
  block.record = config.redis ? wire::TokenRecord::redis : wire::TokenRecord::table;
  block.redeemer = redeemer_of(state, config);
  for (std::size_t i = 0; i < state.tokens.epochs.size(); ++i) {
    const auto& epoch = state.tokens.epochs[i];
    const auto& secrets = state.tokens.secrets[i];
    auto& told = block.epochs.emplace_back();
    told.number = epoch.number;
    told.id = epoch.id;
    told.made = epoch.made;
    told.issues_from = epoch.issues_from;
    told.issues_until = epoch.issues_until;
    told.redeems_until = epoch.redeems_until;
    told.capacity = epoch.capacity;
    told.context = epoch.context;
    told.location_key = secrets.expose_location_key();
    told.sentinel = epoch.sentinel_value;
    if (config.blind_rsa) told.blind_rsa = epoch.blind_rsa;
    if (config.ristretto) told.ristretto = secrets.expose_ristretto();
  }
  auto bytes = wire::write_token_block(block);
  return wire::parse_token_block(bytes.expose()) ? std::move(bytes) : SecretBytes();
}

bool tokens_withheld(const PoolState& state) {
  return !state.tokens.epochs.empty() && state.tokens.block == crypto::Sha256{};
}

feed::TokenNotice token_notice(const PoolState& state, const TokensConfig& config) {
  feed::TokenNotice notice{config.name, origin_info(config), {}};
  for (const auto& epoch : state.tokens.epochs) {
    auto& told = notice.epochs.emplace_back();
    told.number = epoch.number;
    told.id = epoch.id;
    told.issues_from = epoch.issues_from;
    told.issues_until = epoch.issues_until;
    told.redeems_until = epoch.redeems_until;
    for (const auto& key : keys_of(epoch, config)) {
      told.keys.push_back({key.code, crypto::sha256(key.bytes)});
    }
  }
  return notice;
}

// The issuing keys have no time, so that a client whose clock is behind takes them too.
Directory token_directory(const PoolState& state, const TokensConfig& config, Moment now) {
  token::Directory directory{request_uri, {}};
  std::vector<token::DirectoryKey> announced;
  sys_seconds changes{};  // nobody issues: it may change at any time
  for (const auto& epoch : state.tokens.epochs) {
    auto keys = keys_of(epoch, config);
    if (epoch.issues(now)) {
      changes = epoch.issues_until;
      directory.keys.insert(directory.keys.begin(), keys.begin(), keys.end());
    } else if (!epoch.ended() && !epoch.begun) {
      for (auto& key : keys) key.not_before = epoch.issues_from;
      announced.insert(announced.end(), keys.begin(), keys.end());
    }
  }
  directory.keys.insert(directory.keys.end(), announced.begin(), announced.end());
  return {{}, token::write_directory(directory), changes.time_since_epoch().count()};
}

}  // namespace keyd
