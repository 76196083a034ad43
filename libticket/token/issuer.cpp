#include "token/issuer.hpp"

#include <algorithm>
#include <stdexcept>

namespace ticket::token {

namespace voprf = crypto::voprf;

namespace {

voprf::Element element_of(const TokenKey& key) {
  return to_array(BytesView(key.bytes).first<voprf::element_size>());
}

}  // namespace

IssuerKey IssuerKey::generate(TokenType type) {
  auto key = type == TokenType::blind_rsa ? of(crypto::BlindRsaPrivate::generate())
                                          : of(voprf::random_scalar());
  if (!key) throw std::runtime_error("a fresh token key is unfit");
  return std::move(*key);
}

Checked<IssuerKey> IssuerKey::load(TokenType type, BytesView secret) {
  if (type == TokenType::blind_rsa) return of(TRY(crypto::BlindRsaPrivate::parse(secret)));
  if (!voprf::valid_scalar(secret)) return reject(Rejection::bad_key);
  return of(voprf::Scalar::copy_of(secret.first<32>()));
}

Checked<IssuerKey> IssuerKey::of(crypto::BlindRsaPrivate key) {
  const auto& half = key.public_key();
  if (half.exponent() != Bytes{std::byte{1}, std::byte{0}, std::byte{1}}) {
    return reject(Rejection::bad_key);
  }
  auto token_key = TRY(rsa_token_key(half.modulus()));
  return IssuerKey(std::move(token_key), std::move(key));
}

Checked<IssuerKey> IssuerKey::of(voprf::Scalar key) {
  auto token_key = TRY(parse_token_key(TokenType::ristretto, voprf::public_key(key)));
  return IssuerKey(std::move(token_key), std::move(key));
}

SecretBytes IssuerKey::secret() const {
  if (const auto* rsa = std::get_if<crypto::BlindRsaPrivate>(&private_)) return rsa->der();
  return SecretBytes::copy_of(std::get<voprf::Scalar>(private_).expose());
}

Checked<Bytes> IssuerKey::issue(const TokenRequest& request, Form form) const {
  if (request.type != public_.type) return reject(Rejection::unknown_key);
  if (request.blinded.empty()) return reject(Rejection::malformed);
  if (const auto* rsa = std::get_if<crypto::BlindRsaPrivate>(&private_)) {
    const auto signature = TRY(rsa->blind_sign(request.blinded.front()));
    return write_response({{signature}, {}}, public_.type, form);
  }
  const auto evaluation = TRY(voprf::evaluate_blinded(std::get<voprf::Scalar>(private_),
                                                      element_of(public_), request.blinded));
  return write_response(
      {{evaluation.elements.begin(), evaluation.elements.end()}, evaluation.proof}, public_.type,
      form);
}

Checked<bool> Issuer::add(IssuerKey key) {
  if (find(key.public_key().type, key.public_key().truncated_id()) != nullptr) {
    return reject(Rejection::bad_key);
  }
  keys_.push_back(std::move(key));
  return true;
}

const IssuerKey* Issuer::find(TokenType type, std::uint8_t truncated_id) const {
  const auto found = std::ranges::find_if(keys_, [&](const IssuerKey& key) {
    return key.public_key().type == type && key.public_key().truncated_id() == truncated_id;
  });
  return found == keys_.end() ? nullptr : &*found;
}

Checked<Bytes> Issuer::answer(BytesView bytes, Form form) const {
  const auto request = TRY(parse_request(bytes, form, types_));
  const auto* key = find(request.type, request.truncated_key_id);
  if (key == nullptr) return reject(Rejection::unknown_key);
  return key->issue(request, form);
}

}  // namespace ticket::token
