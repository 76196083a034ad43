// The redeemer's side: whose token is it, is it genuine? Whether it was spent before is
// replay/'s to say; a redeemer asks it twice:
//
//   look ──► spent already? ──► verify ──► claim its location: only `fresh` passes
//   no crypto  a replay ends      costly
//
// look() and verify() say nothing about that: a token that passes both may be a replay.
#pragma once

#include <optional>
#include <variant>

#include "base/clock.hpp"
#include "crypto/hmac.hpp"
#include "crypto/voprf.hpp"
#include "token/challenge.hpp"
#include "token/token_key.hpp"

namespace ticket::token {

// Where a token's use is recorded: HMAC-SHA256 of its first 98 bytes under the epoch's
// location key. Keyed, since clients choose the nonce: nobody else can fill one spot.
using Location = ByteArray<32>;

// A key to verify with. Shared between threads.
class RedeemerKey {
 public:
  // Rejects with bad_key: not of blind RSA.
  [[nodiscard]] static Checked<RedeemerKey> blind_rsa(const TokenKey& key);
  // Who has it can also issue. Rejects with bad_key what is no scalar.
  [[nodiscard]] static Checked<RedeemerKey> ristretto(BytesView secret);

  const TokenKey& public_key() const { return public_; }
  // Whether the authenticator is by this key.
  bool verify(const Token& token) const;

 private:
  using Key = std::variant<crypto::BlindRsaPublic, crypto::voprf::Scalar>;
  RedeemerKey(TokenKey half, Key key) : public_(std::move(half)), key_(std::move(key)) {}

  TokenKey public_;
  Key key_;
};

// What is accepted for one epoch of token keys.
struct RedeemerEpoch {
  ByteArray<16> id{};
  sys_seconds begins;         // before, its tokens are early; its table's `begins` is this one
  sys_seconds redeems_until;  // from then on its tokens are expired
  std::vector<RedeemerKey> keys;
  std::vector<Bytes> challenges;  // each TokenChallenge that was sent for it, as it was sent
  crypto::HmacSha256 location_key;
};

// Why a token is not taken: a Rejection, or that its epoch has yet to begin.
class Refusal {
 public:
  Refusal(Rejection why) : rejection_(why) {}
  static Refusal early() { return Refusal(); }
  std::optional<Rejection> rejection() const { return rejection_; }  // nullopt: early

  friend bool operator==(const Refusal&, const Refusal&) = default;
  friend const char* to_text(const Refusal& refusal);

 private:
  Refusal() = default;

  std::optional<Rejection> rejection_;
};
const char* to_text(const Refusal& refusal);

// A token that belongs here, and is not verified yet. Views into the token's bytes and
// the redeemer.
struct Prospect {
  Token token;
  const RedeemerEpoch* epoch = nullptr;
  const RedeemerKey* key = nullptr;
  Location location{};
};

// Immutable: new keys are a new redeemer. Shared between threads.
class Redeemer {
 public:
  // Throws std::invalid_argument when two epochs have a challenge in common (a token
  // would have two locations, and could be spent at both), for what is no challenge, and
  // for an epoch that ends before it begins.
  Redeemer(TokenTypes types, std::vector<RedeemerEpoch> epochs);
  Redeemer(const Redeemer&) = delete;
  Redeemer& operator=(const Redeemer&) = delete;

  // `origin` is who is asked: one of the names that the token's challenge gives, byte by
  // byte, or any where it gives none. Refuses with unsupported or malformed; audience (no
  // challenge of ours, one for another origin, or for another type of token); early and
  // expired, by the earlier and the later of both clocks; unknown_key (not one of that
  // epoch).
  [[nodiscard]] tl::expected<Prospect, Refusal> look(BytesView token, std::string_view origin,
                                                     Moment now) const;
  // Rejects with forged.
  [[nodiscard]] static Checked<bool> verify(const Prospect& prospect);

  const std::vector<RedeemerEpoch>& epochs() const { return epochs_; }

 private:
  struct Audience {
    Digest digest;
    Challenge challenge;
    const RedeemerEpoch* epoch;

    bool takes(TokenType type, std::string_view origin) const;
  };
  const Audience* find(BytesView digest) const;

  TokenTypes types_;
  std::vector<RedeemerEpoch> epochs_;
  std::vector<Audience> audiences_;  // by digest
};

}  // namespace ticket::token
