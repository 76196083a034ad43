#include "token/redeemer.hpp"

#include <algorithm>
#include <stdexcept>

#include "crypto/digest.hpp"

namespace ticket::token {

namespace voprf = crypto::voprf;

Checked<RedeemerKey> RedeemerKey::blind_rsa(const TokenKey& key) {
  auto rsa = TRY(load_rsa(key));
  return RedeemerKey(key, std::move(rsa));
}

Checked<RedeemerKey> RedeemerKey::ristretto(BytesView secret) {
  if (!voprf::valid_scalar(secret)) return reject(Rejection::bad_key);
  auto scalar = voprf::Scalar::copy_of(secret.first<32>());
  auto half = TRY(parse_token_key(TokenType::ristretto, voprf::public_key(scalar)));
  return RedeemerKey(std::move(half), std::move(scalar));
}

bool RedeemerKey::verify(const Token& token) const {
  if (token.type != public_.type) return false;
  if (const auto* rsa = std::get_if<crypto::BlindRsaPublic>(&key_)) {
    return rsa->verify(token.input, token.authenticator);
  }
  auto output = voprf::evaluate(std::get<voprf::Scalar>(key_), token.input);
  if (!output) return false;
  const bool equal = token.authenticator.size() == output->size() &&
                     sodium_memcmp(output->data(), token.authenticator.data(), output->size()) == 0;
  // of a token that is not genuine this is what would make it so
  sodium_memzero(output->data(), output->size());
  return equal;
}

const char* to_text(const Refusal& refusal) {
  return refusal.rejection_ ? to_text(*refusal.rejection_) : "early";
}

namespace {

// What an epoch begins by, as it ends by the later: neither clock alone lets it begin.
sys_seconds earlier(Moment now) { return now.steady + std::min(now.apart, seconds(0)); }

}  // namespace

bool Redeemer::Audience::takes(TokenType type, std::string_view origin) const {
  if (challenge.type != type) return false;
  if (challenge.origin_info.empty()) return true;
  const auto origins = challenge.origins();
  return std::ranges::find(origins, origin) != origins.end();
}

Redeemer::Redeemer(TokenTypes types, std::vector<RedeemerEpoch> epochs)
    : types_(types), epochs_(std::move(epochs)) {
  for (const auto& epoch : epochs_) {
    if (epoch.redeems_until <= epoch.begins) {
      throw std::invalid_argument("an epoch of tokens that ends before it begins");
    }
    for (const auto& bytes : epoch.challenges) {
      auto challenge = parse_challenge(bytes, types_);
      if (!challenge) throw std::invalid_argument("what an epoch has is no token challenge");
      audiences_.push_back({crypto::sha256(bytes), std::move(*challenge), &epoch});
    }
  }
  std::ranges::sort(audiences_, {}, &Audience::digest);
  if (std::ranges::adjacent_find(audiences_, {}, &Audience::digest) != audiences_.end()) {
    throw std::invalid_argument("a token challenge of two epochs, or twice of one");
  }
}

const Redeemer::Audience* Redeemer::find(BytesView bytes) const {
  const auto digest = to_array(bytes.first<32>());
  const auto found = std::ranges::lower_bound(audiences_, digest, {}, &Audience::digest);
  return found == audiences_.end() || found->digest != digest ? nullptr : &*found;
}

tl::expected<Prospect, Refusal> Redeemer::look(BytesView bytes, std::string_view origin,
                                               Moment now) const {
  Prospect prospect;
  prospect.token = TRY(parse_token(bytes, types_));
  const auto* audience = find(prospect.token.challenge_digest);
  if (audience == nullptr || !audience->takes(prospect.token.type, origin)) {
    return reject(Rejection::audience);
  }
  prospect.epoch = audience->epoch;
  if (earlier(now) < prospect.epoch->begins) return tl::unexpected<Refusal>(Refusal::early());
  if (now.latest >= prospect.epoch->redeems_until) return reject(Rejection::expired);
  for (const auto& key : prospect.epoch->keys) {
    if (key.public_key().type == prospect.token.type &&
        std::ranges::equal(key.public_key().id, prospect.token.key_id)) {
      prospect.key = &key;
    }
  }
  if (prospect.key == nullptr) return reject(Rejection::unknown_key);
  prospect.epoch->location_key.tag(prospect.token.input, prospect.location);
  return prospect;
}

Checked<bool> Redeemer::verify(const Prospect& prospect) {
  if (!prospect.key->verify(prospect.token)) return reject(Rejection::forged);
  return true;
}

}  // namespace ticket::token
