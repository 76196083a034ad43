// What members, people and clients are told of a pool's tokens.
#pragma once

#include "feed/bundle.hpp"
#include "messages.hpp"
#include "state.hpp"
#include "token/token_type.hpp"
#include "token_config.hpp"

namespace keyd {

// The member whose table the tokens are recorded in; 0: nobody, or they are in Redis.
std::uint16_t redeemer_of(const PoolState& state, const TokensConfig& config);

// What names the record, hashed; another one when it moves. Zero: nobody records.
ticket::crypto::Sha256 record_of(const PoolState& state, const TokensConfig& config);

// The code point of a type that is wanted, and that the epoch has no key of; 0: it has all.
std::uint16_t missing_type(const TokenEpoch& epoch, const TokensConfig& config);

// For the redeemers, in the bundle's secrets (wire/token_block.hpp). Empty where they could
// not read it: they would refuse the ticket keys with it.
ticket::SecretBytes token_block(const PoolState& state, const TokensConfig& config);
// Whether that is how it was published; and what is to be said then.
bool tokens_withheld(const PoolState& state);
constexpr const char* tokens_withheld_text =
    "members are not told of the token epochs, which make no sense: `ticketctl issuer rotate "
    "--burn` ends them";
// For people, in the manifest.
ticket::feed::TokenNotice token_notice(const PoolState& state, const TokensConfig& config);
// For clients: the keys that issue at `now`, then those that are announced.
Directory token_directory(const PoolState& state, const TokensConfig& config, ticket::Moment now);

// The code points that are spoken.
ticket::token::TokenTypes token_types(const TokensConfig& config);

}  // namespace keyd
