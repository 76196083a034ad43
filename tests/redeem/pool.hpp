// A pool's tokens for tests: a block as keyd would write it, and what a client does to
// get tokens of it.
#pragma once

#include <map>

#include "redeem/gate.hpp"
#include "redeem/tables.hpp"
#include "token/samples.hpp"

namespace samples {

using namespace std::chrono_literals;

constexpr std::uint16_t here = 7;  // this host's member number

// Epochs issue for an hour and redeem for one more.
class TokenPool {
 public:
  explicit TokenPool(wire::TokenRecord record = wire::TokenRecord::table,
                     std::vector<TokenType> types = {TokenType::blind_rsa}, std::uint8_t salt = 0)
      : types_(std::move(types)), salt_(salt) {
    block.issuer = "issuer.example";
    block.origin_info = "a.test,b.test";
    block.ristretto_type = TokenTypes::ristretto_draft_code;
    block.record = record;
    block.redeemer = here;
  }
  TokenPool(const TokenPool&) = delete;  // the block views it

  void add_epoch(std::uint32_t number, sys_seconds from) {
    wire::TokenBlockEpoch epoch;
    epoch.number = number;
    epoch.id.fill(static_cast<std::byte>(number));
    epoch.id[1] = std::byte{salt_};
    epoch.made = from - 1h;
    epoch.issues_from = from;
    epoch.issues_until = from + 1h;
    epoch.redeems_until = from + 2h;
    epoch.capacity = 1000;
    epoch.context.fill(static_cast<std::byte>(0x40 + number));
    epoch.context[1] = std::byte{salt_};
    epoch.location_key =
        location_keys_.try_emplace(number, 32, static_cast<std::byte>(number + 1)).first->second;
    for (const auto type : types_) {
      if (type == TokenType::blind_rsa) {
        epoch.blind_rsa = issuer_key(type).public_key().bytes;
      } else {
        scalar_ = issuer_key(type).secret();
        epoch.ristretto = scalar_.expose();
      }
    }
    block.epochs.push_back(epoch);
  }

  // A challenge of an epoch, as a client is sent it.
  Bytes challenge(std::size_t epoch = 0, TokenType type = TokenType::blind_rsa) const {
    return *write_challenge({type, std::string(block.issuer), block.epochs.at(epoch).context,
                             std::string(block.origin_info)},
                            both);
  }
  Bytes token(std::size_t epoch = 0, TokenType type = TokenType::blind_rsa) const {
    return token_by(issuer_key(type), challenge(epoch, type));
  }

  std::unique_ptr<redeem::Gate> gate(const std::filesystem::path& folder, Moment now,
                                     const redeem::Gate* before = nullptr,
                                     std::uint16_t member = here) const {
    auto gate = redeem::Gate::make(block, member, folder, now, before);
    REQUIRE(gate.has_value());
    return std::move(*gate);
  }

  wire::TokenBlock block;

 private:
  std::vector<TokenType> types_;
  std::uint8_t salt_;
  std::map<std::uint32_t, Bytes> location_keys_;
  SecretBytes scalar_;
};

}  // namespace samples
