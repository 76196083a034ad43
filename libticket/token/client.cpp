#include "token/client.hpp"

#include "crypto/digest.hpp"
#include "crypto/voprf.hpp"

namespace ticket::token {

namespace voprf = crypto::voprf;

namespace {

voprf::Scalar scalar(const SecretBytes& bytes) {
  return voprf::Scalar::copy_of(bytes.expose().first<32>());
}

Bytes whole(const TokenInput& input, BytesView authenticator) {
  Bytes token(input.begin(), input.end());
  token.insert(token.end(), authenticator.begin(), authenticator.end());
  return token;
}

}  // namespace

Checked<Withdrawal> Withdrawal::begin(BytesView challenge, const TokenKey& key,
                                      const TokenTypes& types, Form form, std::size_t count) {
  if (count == 0 || count > (form == Form::batch ? wire::max_token_batch : 1)) {
    return reject(Rejection::malformed);
  }
  return begin(challenge, key, types, form, draw(key.type, count));
}

std::vector<Withdrawal::Drawn> Withdrawal::draw(TokenType type, std::size_t count) {
  std::vector<Drawn> drawn(count);
  for (auto& one : drawn) {
    randombytes_buf(one.nonce.data(), one.nonce.size());
    if (type == TokenType::ristretto) {
      one.factor = SecretBytes::copy_of(voprf::random_scalar().expose());
    }
  }
  return drawn;
}

Checked<Withdrawal> Withdrawal::begin(BytesView challenge, const TokenKey& key,
                                      const TokenTypes& types, Form form,
                                      const std::vector<Drawn>& drawn) {
  if (TRY(parse_challenge(challenge, types)).type != key.type) return reject(Rejection::bad_key);
  const auto code = TRY(types.code(key.type));
  const auto digest = crypto::sha256(challenge);
  std::optional<crypto::BlindRsaPublic> rsa;
  if (key.type == TokenType::blind_rsa) rsa = TRY(load_rsa(key));

  Withdrawal withdrawal(key, form);
  TokenRequest request{key.type, key.truncated_id(), {}};
  for (const auto& one : drawn) {
    Pending pending{token_input(code, one.nonce, digest, key.id), {}, {}};
    if (rsa) {
      auto blinded = one.salt.empty()
                         ? TRY(rsa->blind(pending.input))
                         : TRY(rsa->blind(pending.input, one.salt, one.factor.expose()));
      pending.blinded = std::move(blinded.blinded);
      pending.secret = std::move(blinded.inverse);
    } else {
      if (!voprf::valid_scalar(one.factor.expose())) return reject(Rejection::malformed);
      pending.blinded = to_bytes(TRY(voprf::blind(pending.input, scalar(one.factor))));
      pending.secret = SecretBytes::copy_of(one.factor.expose());
    }
    withdrawal.pending_.push_back(std::move(pending));
  }
  for (const auto& pending : withdrawal.pending_) request.blinded.push_back(pending.blinded);
  withdrawal.request_ = TRY(write_request(request, form, types));
  return withdrawal;
}

Checked<std::vector<Bytes>> Withdrawal::finish(BytesView bytes) const {
  const auto response = TRY(parse_response(bytes, key_.type, form_));
  if (response.evaluated.size() != pending_.size()) return reject(Rejection::malformed);
  return key_.type == TokenType::blind_rsa ? finish_rsa(response) : finish_ristretto(response);
}

Checked<std::vector<Bytes>> Withdrawal::finish_rsa(const TokenResponse& response) const {
  const auto rsa = TRY(load_rsa(key_));
  const auto& pending = pending_.front();  // there are no batches of it
  const auto signature =
      TRY(rsa.finalize(pending.input, pending.secret, response.evaluated.front()));
  return std::vector<Bytes>(1, whole(pending.input, signature));
}

Checked<std::vector<Bytes>> Withdrawal::finish_ristretto(const TokenResponse& response) const {
  std::vector<BytesView> blinded;
  for (const auto& pending : pending_) blinded.push_back(pending.blinded);
  const auto key = to_array(BytesView(key_.bytes).first<voprf::element_size>());
  if (!voprf::verify_proof(key, blinded, response.evaluated, response.proof)) {
    return reject(Rejection::forged);
  }
  std::vector<Bytes> tokens;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const auto& pending = pending_[i];
    const auto output =
        TRY(voprf::unblind(pending.input, scalar(pending.secret), response.evaluated[i]));
    tokens.push_back(whole(pending.input, output));
  }
  return tokens;
}

}  // namespace ticket::token
