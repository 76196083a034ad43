#include "token/redeemer.hpp"

#include <algorithm>
#include <stdexcept>

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
  const auto output = voprf::evaluate(std::get<voprf::Scalar>(key_), token.input);
  return output && token.authenticator.size() == output->size() &&
         sodium_memcmp(output->data(), token.authenticator.data(), output->size()) == 0;
}

Redeemer::Redeemer(TokenTypes types, std::vector<RedeemerEpoch> epochs)
    : types_(types), epochs_(std::move(epochs)) {
  for (const auto& epoch : epochs_) {
    for (const auto& digest : epoch.challenges) audiences_.push_back({digest, &epoch});
  }
  std::ranges::sort(audiences_, {}, &Audience::digest);
  if (std::ranges::adjacent_find(audiences_, {}, &Audience::digest) != audiences_.end()) {
    throw std::invalid_argument("a token challenge of two epochs, or twice of one");
  }
}

Checked<Prospect> Redeemer::look(BytesView bytes, Moment now) const {
  Prospect prospect;
  prospect.token = TRY(parse_token(bytes, types_));
  const auto digest = to_array(prospect.token.challenge_digest.first<32>());
  const auto audience = std::ranges::lower_bound(audiences_, digest, {}, &Audience::digest);
  if (audience == audiences_.end() || audience->digest != digest) {
    return reject(Rejection::audience);
  }
  prospect.epoch = audience->epoch;
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
